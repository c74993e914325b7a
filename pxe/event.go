package pxe

import (
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/pxe/firmware"
)

// Stage is the part of a boot that an event belongs to.
type Stage string

// The stages, in the order of a boot.
const (
	StageOffer   Stage = "offer"   // DHCP handed out a loader or configuration; see Offer.Event
	StageLoader  Stage = "loader"  // firmware fetched a boot loader or one of its parts
	StageConfig  Stage = "config"  // a loader fetched its script or configuration
	StageKernel  Stage = "kernel"  // the kernel of the profile
	StageInitrd  Stage = "initrd"  // an initrd of the profile
	StageFile    Stage = "file"    // any other file
	StageRunning Stage = "running" // the started system reported back
	// StageMetadata and StageConfigured follow in systems that read package pxe/metadata: a file
	// about the machine was read, and the system reported that its configuration is complete.
	StageMetadata   Stage = "metadata"
	StageConfigured Stage = "configured"
	// StageLog belongs to no place of that order: the machine logged lines, see package bootlog.
	StageLog Stage = "log"
)

// Event describes one finished request of a machine.
type Event struct {
	Time     time.Time        `json:"time"` // when the request ended
	Stage    Stage            `json:"stage"`
	MAC      net.HardwareAddr `json:"mac,omitempty"` // nil when the client could not be identified
	UUID     string           `json:"uuid,omitempty"`
	Addr     netip.Addr       `json:"addr"`
	Server   netip.Addr       `json:"server"` // this server's address, invalid when unknown
	Arch     firmware.Arch    `json:"arch"`   // firmware.ArchUnknown when the client did not send it
	Method   string           `json:"method,omitempty"`
	Profile  string           `json:"profile,omitempty"` // name of the profile a config was made from
	Path     string           `json:"path"`              // as requested
	Proto    string           `json:"proto"`             // "tftp" or "http"
	Size     int64            `json:"size"`              // of the whole file; -1 when unknown
	Bytes    int64            `json:"bytes"`             // that reached the client (TFTP) or its socket (HTTP)
	Duration time.Duration    `json:"duration"`

	BlockSize   int           `json:"block_size,omitempty"`  // TFTP, bytes
	WindowSize  int           `json:"window_size,omitempty"` // TFTP, blocks
	Retransmits int           `json:"retransmits,omitempty"` // TFTP, packets sent again
	Timeouts    int           `json:"timeouts,omitempty"`    // TFTP, retransmission timer runs
	RTT         time.Duration `json:"rtt,omitempty"`         // TFTP, smoothed round trip

	// Signed lists the authorities that signed a loader, or says that it is not signed; empty when
	// that is not known. Composing code sets it, see package loaders.
	Signed string `json:"signed,omitempty"`
	// Absent says that the file does not exist and that this is a normal answer: an optional part
	// of a loader, or a machine without a profile.
	Absent bool `json:"absent,omitempty"`
	// Probe says that the client only asked for the size (TFTP tsize, HTTP HEAD).
	Probe bool `json:"probe,omitempty"`
	// Err is the reason for a failure, empty when the request succeeded.
	Err string `json:"err,omitempty"`
	// Claimed says that MAC is only what the request says: the address belongs to another machine,
	// or to none although DHCP gives out the addresses there, or a report came neither from the
	// machine's address nor with the nonce of its script.
	Claimed bool `json:"claimed,omitempty"`
	// Body is the text of a started system's report, the first 4 KiB of it.
	Body []byte `json:"body,omitempty"`
	// Log holds what the machine logged since the event of StageLog before, at most 4 KiB.
	Log []string `json:"log,omitempty"`
}

// Offered returns the event of an offer, for [Attempt.Next]: composing code sends it when DHCP
// hands the offer to the client.
func Offered(o firmware.Offer, c firmware.Client, at time.Time) Event {
	return Event{Time: at, Stage: StageOffer, MAC: c.MAC, UUID: c.UUID, Server: o.NextServer, Arch: o.Arch,
		Method: o.Method.Name, Path: o.File, Proto: string(o.Method.Proto), Size: -1}
}
