package boottest

import (
	"net"
	"net/netip"
	"time"
)

// Stage names a part of a boot.
type Stage string

// The stages of a boot, in their usual order. A machine that loads iPXE over the network goes
// through StageDHCP twice.
const (
	StageDHCP   Stage = "dhcp"   // the firmware, or a loader, gets an address and a boot file
	StageLoader Stage = "loader" // programs: iPXE, shim, GRUB and what they look for beside them
	StageConfig Stage = "config" // iPXE scripts and GRUB configurations
	StageKernel Stage = "kernel"
	StageInitrd Stage = "initrd"
	StageSystem Stage = "system" // the system gets its address
	StageNames  Stage = "names"  // its names resolve
	StageDone   Stage = "done"   // it reports to the URL of its command line
)

// Progress is one step of a boot, for an observer.
type Progress struct {
	MAC   net.HardwareAddr
	Time  time.Time
	Stage Stage
	What  string // the file, the DHCP message, the name
	Bytes int64  // of the file so far
	Total int64  // size of the file; -1 = not known
	Done  bool   // the step has ended
	Err   error  // why it failed; files that may be absent fail too
	Fetch *Fetch // of a fetch that has ended
	Lease *Lease // of a DHCP exchange that has ended
}

// Fetch is one file that was asked for.
type Fetch struct {
	Stage    Stage
	URL      string // tftp://server/name or http://...
	By       string // which program asked: the firmware's name, "ipxe", "shim", "grub", "linux"
	Start    time.Time
	Duration time.Duration
	Bytes    int64
	Status   int    // of HTTP
	Probe    bool   // only the size was wanted: HEAD, or a TFTP transfer broken off
	Err      string // "" = it was read to its end
	SHA256   string // of what was read, in hex

	// Negotiated by TFTP.
	BlockSize, WindowSize int
	Size                  int64 // tsize, or Content-Length; -1 = not known
	Resent                int   // packets sent again after a silence
}

// Rate returns the speed of a fetch in bytes per second.
func (f *Fetch) Rate() float64 {
	if f.Duration <= 0 {
		return 0
	}
	return float64(f.Bytes) / f.Duration.Seconds()
}

// Lease is the result of a DHCP exchange.
type Lease struct {
	By         string // firmware, "ipxe" or "linux"
	Addr       netip.Addr
	Mask       net.IPMask
	Server     netip.Addr // option 54
	NextServer netip.Addr // siaddr; invalid = none
	BootFile   string     // or URL; over IPv6 always one
	Time       time.Duration
	Routers    []netip.Addr
	DNS        []netip.Addr
	Domain     string
	Hostname   string           // option 12
	Options    map[uint8][]byte // all options of the ACK; nil over IPv6
	Offers     int              // how many offers there were to choose from
	Resent     int
	Duration   time.Duration
}

// StageReport sums up one stage.
type StageReport struct {
	Stage    Stage
	Start    time.Time
	Duration time.Duration // from its first to its last moment
	Bytes    int64
	Files    int // read to the end
}

// Outcome says what runs at the end.
type Outcome string

// What a boot can end in.
const (
	Linux      Outcome = "linux"    // the kernel was started
	LocalDisk  Outcome = "disk"     // the local disk's loader was started, or the firmware went on to it
	NextDevice Outcome = "next"     // the firmware went on to the next boot device, and there is none
	SetupMenu  Outcome = "setup"    // the machine waits in the firmware's set-up screen
	PoweredOff Outcome = "off"      // the loader switched the machine off
	Rebooted   Outcome = "rebooted" // the loader asked for a restart
	Disc       Outcome = "disc"     // an ISO image was started as a CD
	WindowsPE  Outcome = "windows"  // wimboot started Windows PE
	Hypervisor Outcome = "esxi"     // mboot started the installer of ESXi
	Installer  Outcome = "onie"     // a switch started its installer, which is Running.Kernel
)

// File is something that was loaded into memory.
type File struct {
	URL    string
	Size   int64
	SHA256 string
}

// Running describes the system at the end of a boot.
type Running struct {
	Kind    Outcome
	Kernel  File
	Initrds []File
	Cmdline string
	Host    string   // host name of the system
	Names   []string // names and addresses that resolved, as "node-1.lab.test = 192.0.2.100"
	Done    bool     // it reported to the URL on its command line
}

// Report describes a boot.
type Report struct {
	MAC      net.HardwareAddr
	Firmware string
	Start    time.Time
	Duration time.Duration
	Stages   []StageReport
	Leases   []Lease
	Fetches  []Fetch
	Console  []string // what loaders printed, and what they could not do
	Running  Running
}

// Lease returns the latest lease; nil when there was none.
func (r *Report) Lease() *Lease {
	if len(r.Leases) == 0 {
		return nil
	}
	return &r.Leases[len(r.Leases)-1]
}

// Fetched returns the fetches of a stage that were read to their end.
func (r *Report) Fetched(stage Stage) (out []Fetch) {
	for _, f := range r.Fetches {
		if f.Stage == stage && f.Err == "" && !f.Probe {
			out = append(out, f)
		}
	}
	return out
}
