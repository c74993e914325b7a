package pxe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe/firmware"
)

// Names by which the firmware of a Raspberry Pi asks for what it starts. It looks for them below
// its serial number first, where only an operator's own files are, and then without a directory.
const (
	piConfig  = "config.txt"
	piCmdline = "cmdline.txt"
	piKernel  = "kernel8.img"
	piInitrd  = "initrd%d.img"
)

// parsePi reads a name for the firmware of a Raspberry Pi.
func parsePi(name string) (resource, bool) {
	res := resource{kind: kindPi, lang: firmware.RaspberryPi, arch: firmware.ArchUnknown, file: name, whole: name}
	switch _, initrd := initrdOfPi(name); {
	case name == piConfig || name == piCmdline:
		res.stage = StageConfig
	case name == piKernel:
		res.stage = StageKernel
	case initrd:
		res.stage = StageInitrd
	default:
		return resource{}, false
	}
	return res, true
}

func initrdOfPi(name string) (n int, ok bool) {
	text, isInitrd := strings.CutPrefix(name, "initrd")
	text, isImage := strings.CutSuffix(text, ".img")
	n, err := strconv.Atoi(text)
	return n, isInitrd && isImage && err == nil && n >= 0 && fmt.Sprintf(piInitrd, n) == name
}

// isPi reports whether a machine's firmware is the one of a Raspberry Pi.
func (s *Server) isPi(r Request) bool {
	c, ok := s.cfg.Describe(r.MAC)
	return ok && c.IsRaspberryPi()
}

// raspberryPi opens what the firmware of a Raspberry Pi boots: an operator's file of that name,
// else what the profile of the machine makes of it. Others have no such names.
func (s *Server) raspberryPi(ctx context.Context, in inbound, res resource, r Request, e *Event) (content, error) {
	c, err := s.loader(in, r, res.whole)
	if !errors.Is(err, fs.ErrNotExist) || !s.isPi(r) {
		return c, err
	}
	p, err := s.cfg.Resolver.Resolve(ctx, r)
	if err != nil {
		return content{}, err
	}
	if e.Profile = p.Name; p.kind() == Menu { // the firmware has no menus
		e.Profile = p.firstLeaf()
		p, _ = p.Entry(e.Profile)
	}
	if p, err = Prepare(p, s.cfg.Files); err != nil {
		return content{}, err
	}
	if err := p.Validate(); err != nil {
		return content{}, err
	}
	if p.kind() != Linux {
		return content{}, ErrNoProfile // the next device in its boot order
	}
	return s.linuxOnPi(in, res, r, p)
}

func (s *Server) linuxOnPi(in inbound, res resource, r Request, p Profile) (content, error) {
	for _, f := range append([]string{p.Kernel}, p.Initrd...) {
		if isURL(f) {
			return content{}, fmt.Errorf("pxe: profile %q: a Raspberry Pi cannot fetch %s; put the file into Config.Files", p.Name, f)
		}
	}
	switch n, initrd := initrdOfPi(res.file); {
	case res.file == piConfig:
		return text(configOfPi(p, r)), nil
	case res.file == piCmdline:
		at := firmware.Endpoint{Addr: in.server, HTTPPort: s.cfg.HTTPPort, SyslogPort: s.cfg.SyslogPort, Nonce: s.reports.nonce(r.MAC, time.Now())}
		args, err := commandLine(p, r, at)
		return text(strings.Join(args, " ") + "\n"), err
	case res.file == piKernel:
		return s.file(in, p.Kernel)
	case initrd && n < len(p.Initrd):
		return s.file(in, p.Initrd[n])
	}
	return content{}, ErrNoProfile
}

// configOfPi names files by short names: older firmware cuts a line off after 98 characters. The
// serial port shows what a failed boot says.
func configOfPi(p Profile, r Request) string {
	b := fmt.Sprintf("# maas: %s\narm_64bit=1\nenable_uart=1\nkernel=%s\n", page{profile: p, id: pathID(r)}.title(), piKernel)
	var initrds []string
	for i := range p.Initrd {
		initrds = append(initrds, fmt.Sprintf(piInitrd, i))
	}
	if len(initrds) > 0 {
		b += "initramfs " + strings.Join(initrds, ",") + " followkernel\n"
	}
	return b
}
