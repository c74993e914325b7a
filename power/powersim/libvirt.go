package powersim

import (
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/gomaas/maas/power"
)

// ServeLibvirt starts a libvirt daemon with one machine, "web-1", over plain TCP on a free port of
// 127.0.0.1. It knows the calls that power control needs, of the remote protocol of libvirt.
func ServeLibvirt(c *Chassis) (*BMC, error) {
	if c == nil {
		return nil, errChassis
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	v := &libvirt{chassis: c, definition: fmt.Sprintf(libvirtDefinition, libvirtName)}
	tcp := serveTCP(ln, v.serve)
	address := "test+tcp://" + ln.Addr().String() + "/default"
	return &BMC{
		Address: address, faults: tcp.faults, session: tcp.count,
		target: power.Target{Kind: "virsh", Name: ln.Addr().String(), Params: power.Params{"power_address": address, "power_id": libvirtName}},
		close:  func() error { return tcp.close(c) },
	}, nil
}

const (
	libvirtName       = "web-1"
	libvirtDefinition = "<domain type='test'><name>%s</name><os><type>hvm</type></os>" +
		"<devices><disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk></devices></domain>"
)

// libvirt is the daemon.
type libvirt struct {
	chassis *Chassis

	mu         sync.Mutex // guards the fields below
	definition string
	metadata   string
}

// The calls of the remote protocol, by their numbers in libvirt's remote_protocol.x.
const (
	virtOpen        = 1
	virtClose       = 2
	virtCreate      = 9
	virtCreateXML   = 10
	virtDefineXML   = 11
	virtDestroy     = 12
	virtXMLDesc     = 14
	virtByName      = 23
	virtByUUID      = 24
	virtShutdown    = 33
	virtAuthList    = 66
	virtUpdate      = 174
	virtState       = 212
	virtReset       = 245
	virtSetMetadata = 264
	virtGetMetadata = 265
)

// Errors of libvirt, by their numbers in virterror.h.
var (
	errVirtSupport  = virtError{3, "this function is not supported"}
	errVirtNoDomain = virtError{42, "Domain not found"}
	errVirtState    = virtError{55, "Requested operation is not valid: domain is in another state"}
	errVirtMetadata = virtError{80, "metadata not found"}
)

type virtError struct {
	code uint32
	text string
}

func (e virtError) Error() string { return e.text }

// virtHeader is the header of each message, behind its length.
type virtHeader struct{ Program, Version, Procedure, Type, Serial, Status uint32 }

// maxVirt bounds a message.
const maxVirt = 1 << 20

// serve answers calls until the client leaves.
func (v *libvirt) serve(conn net.Conn) {
	for {
		var length uint32
		if binary.Read(conn, binary.BigEndian, &length) != nil || length < 28 || length > maxVirt {
			return
		}
		message := make([]byte, length-4)
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		var h virtHeader
		_, _ = binary.Decode(message, binary.BigEndian, &h) // it is long enough
		answer, err := v.call(h.Procedure, &xdr{rest: message[24:]})
		h.Type = 1 // a reply
		if err != nil {
			var refused virtError
			errors.As(err, &refused)
			h.Status = 1
			answer = new(xdr).uint32(refused.code).uint32(10).uint32(1).text(refused.text).uint32(2) // code, domain, message, level
		}
		out, _ := binary.Append(nil, binary.BigEndian, uint32(28+len(answer.rest)))
		out, _ = binary.Append(out, binary.BigEndian, h)
		if _, err := conn.Write(append(out, answer.rest...)); err != nil || h.Procedure == virtClose {
			return
		}
	}
}

// call does one call.
func (v *libvirt) call(procedure uint32, in *xdr) (*xdr, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch procedure {
	case virtOpen, virtClose:
		return new(xdr), nil
	case virtAuthList:
		return new(xdr).uint32(1).uint32(0), nil // none
	case virtByName:
		if in.takeText() != libvirtName {
			return nil, errVirtNoDomain
		}
		return v.domain(), nil
	case virtByUUID:
		if in.takeFixed(16) != libvirtUUID {
			return nil, errVirtNoDomain
		}
		return v.domain(), nil
	case virtCreateXML:
		return v.domain(), v.start(in.takeText())
	case virtDefineXML:
		v.definition = in.takeText()
		v.chassis.SetBootAlways(bootOf(v.definition))
		return v.domain(), nil
	}
	if in.takeText() != libvirtName || in.takeFixed(16) != libvirtUUID { // all others begin with the domain
		return nil, errVirtNoDomain
	}
	in.takeUint32()
	return v.ofDomain(procedure, in)
}

// ofDomain does a call on the domain.
func (v *libvirt) ofDomain(procedure uint32, in *xdr) (*xdr, error) {
	on := v.chassis.On()
	switch procedure {
	case virtState:
		if on {
			return new(xdr).uint32(1).uint32(0), nil
		}
		return new(xdr).uint32(5).uint32(0), nil
	case virtCreate:
		return new(xdr), v.start("")
	case virtDestroy, virtShutdown, virtReset:
		switch {
		case !on:
			return nil, errVirtState
		case procedure == virtReset:
			v.chassis.Cycle()
		default:
			v.chassis.SetPower(false)
		}
		return new(xdr), nil
	case virtXMLDesc:
		return new(xdr).text(v.definition), nil
	case virtUpdate:
		return new(xdr), v.update(in.takeText())
	case virtSetMetadata:
		in.takeUint32() // the type
		v.metadata = ""
		if in.takeUint32() == 1 {
			v.metadata = in.takeText()
		}
		return new(xdr), nil
	case virtGetMetadata:
		if v.metadata == "" {
			return nil, errVirtMetadata
		}
		return new(xdr).text(v.metadata), nil
	}
	return nil, errVirtSupport
}

var cdDrive = regexp.MustCompile(`(?s)<disk[^>]*device=.cdrom.*?</disk>`)

// update changes what is in the CD drive.
func (v *libvirt) update(device string) error {
	var d struct {
		Source struct {
			File     string `xml:"file,attr"`
			Protocol string `xml:"protocol,attr"`
			Name     string `xml:"name,attr"`
			Query    string `xml:"query,attr"`
			Host     struct {
				Name string `xml:"name,attr"`
			} `xml:"host"`
		} `xml:"source"`
	}
	if xml.Unmarshal([]byte(device), &d) != nil || !cdDrive.MatchString(device) {
		return errVirtSupport
	}
	s := d.Source
	image := s.File
	if s.Protocol != "" {
		image = (&url.URL{Scheme: s.Protocol, Host: s.Host.Name, Path: "/" + s.Name, RawQuery: s.Query}).String()
	}
	v.definition = cdDrive.ReplaceAllLiteralString(v.definition, device)
	v.chassis.SetMedia(image)
	return nil
}

// start starts the machine, from a definition for this time unless it is empty.
func (v *libvirt) start(definition string) error {
	if v.chassis.On() {
		return errVirtState
	}
	if definition != "" {
		v.chassis.SetBootOnce(bootOf(definition))
	}
	v.chassis.SetPower(true)
	return nil
}

// bootOf is the first boot device of a definition.
func bootOf(definition string) power.BootDevice {
	var d struct {
		Boot []struct {
			Dev string `xml:"dev,attr"`
		} `xml:"os>boot"`
	}
	if xml.Unmarshal([]byte(definition), &d) != nil || len(d.Boot) == 0 {
		return power.Default
	}
	return map[string]power.BootDevice{"network": power.Network, "hd": power.Disk, "cdrom": power.CD}[d.Boot[0].Dev]
}

// libvirtUUID is the UUID of the machine, as octets.
const libvirtUUID = "\x66\x95\xeb\x01\xf6\xa4\x83\x04\x79\xaa\x97\xf2\x50\x2e\x19\x3f"

func (v *libvirt) domain() *xdr {
	out := new(xdr).text(libvirtName)
	out.rest = append(out.rest, libvirtUUID...)
	return out.uint32(1)
}

// xdr reads and writes values as RFC 4506 has them. What is missing reads as zero.
type xdr struct{ rest []byte }

func (x *xdr) uint32(n uint32) *xdr {
	x.rest = binary.BigEndian.AppendUint32(x.rest, n)
	return x
}

func (x *xdr) text(s string) *xdr {
	x.uint32(uint32(len(s)))
	x.rest = append(x.rest, s+strings.Repeat("\x00", -len(s)&3)...)
	return x
}

func (x *xdr) takeUint32() uint32 {
	if len(x.rest) < 4 {
		return 0
	}
	n := binary.BigEndian.Uint32(x.rest)
	x.rest = x.rest[4:]
	return n
}

func (x *xdr) takeFixed(n uint32) string {
	padded := n + (-n & 3)
	if uint32(len(x.rest)) < padded {
		return ""
	}
	s := string(x.rest[:n])
	x.rest = x.rest[padded:]
	return s
}

func (x *xdr) takeText() string { return x.takeFixed(min(x.takeUint32(), maxVirt)) }
