package pxe

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/pxe/bootiso"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/internal/iso9660"
)

// Network is the static network configuration of a machine that boots without DHCP.
type Network struct {
	Address  netip.Prefix `json:"address"`          // with the length of the subnet; IPv4
	Gateway  netip.Addr   `json:"gateway,omitzero"` // zero = none
	DNS      []netip.Addr `json:"dns,omitempty"`    // the first two are taken
	Hostname string       `json:"hostname,omitempty"`
}

// arguments returns the kernel's ip= parameter, which the initramfs of Debian, Ubuntu, Fedora and
// SUSE read, and BOOTIF, by which they find the interface (Linux,
// Documentation/admin-guide/nfs/nfsroot.rst).
func (n Network) arguments(mac net.HardwareAddr) (string, error) {
	if !n.Address.IsValid() || !n.Address.Addr().Is4() {
		return "", errors.New("the kernel takes static IPv4 settings only; give the machine a static IPv4 address")
	}
	show := func(a netip.Addr) string {
		if a.Is4() {
			return a.String()
		}
		return ""
	}
	mask := net.IP(net.CIDRMask(n.Address.Bits(), 32)).String()
	host, _, _ := strings.Cut(n.Hostname, ".")
	arg := fmt.Sprintf("ip=%s::%s:%s:%s::none", n.Address.Addr(), show(n.Gateway), mask, plain(host))
	servers := 0
	for _, a := range n.DNS {
		if a.Is4() && servers < 2 {
			arg += ":" + a.String()
			servers++
		}
	}
	return arg + " BOOTIF=01-" + firmware.FormatMAC(mac), nil
}

// MediumRequest asks for a boot medium.
type MediumRequest struct {
	MAC     net.HardwareAddr // of the machine
	Profile Profile
	Network Network
	// Server is the address of this server that the machine reaches, for the command line's
	// variables.
	Server netip.Addr
}

// Bounds of media: what is not read for mediumLife is forgotten, and the oldest above maxMedia.
const (
	mediumLife = 24 * time.Hour
	maxMedia   = 64
)

// MediumPath begins the paths of media that were made for machines, see [Server.AddMedium]. In
// events the name of the file follows.
const MediumPath = "/medium/"

// media are the media that are served.
type media struct {
	mu  sync.Mutex
	all map[string]*medium // by token
}

// medium is an ISO image made for one machine, which holds the files that it is made of open.
type medium struct {
	mac    net.HardwareAddr
	name   string // of the profile
	image  *bootiso.Image
	files  []io.Closer
	used   time.Time
	seen   bool // a first read was reported
	users  int  // requests in progress
	closed bool
}

// AddMedium makes an ISO image by which a machine boots a profile, without DHCP and a boot server,
// and returns the path at which it is read until another one is made for the machine, for 24 hours
// after the last read at most. The path cannot be guessed: a BMC that reads the image has an
// address of its own, by which no machine is known. The profile must be of kind Linux, or ISO of a
// Linux that is known, with its files in Config.Files.
//
// BIOS starts the image by ISOLINUX and UEFI by shim and the GRUB for CD drives, so that Secure
// Boot can be on.
func (s *Server) AddMedium(q MediumRequest) (string, error) {
	r := Request{MAC: q.MAC, Addr: q.Network.Address.Addr(), Server: q.Server, Arch: firmware.ArchUnknown}
	p, err := mediumProfile(q.Profile, s.cfg.Files)
	if err != nil {
		return "", fmt.Errorf("pxe: boot medium of profile %q: %w", p.Name, err)
	}
	at := firmware.Endpoint{Addr: q.Server, HTTPPort: s.cfg.HTTPPort, SyslogPort: s.cfg.SyslogPort, Nonce: s.reports.nonce(q.MAC, time.Now())}
	m := &medium{mac: q.MAC, name: p.Name, used: time.Now()}
	if err := s.make(m, p, q, r, at); err != nil {
		m.close()
		return "", fmt.Errorf("pxe: boot medium of profile %q: %w", p.Name, err)
	}
	return MediumPath + s.media.add(m) + "/boot.iso", nil
}

// mediumProfile returns the profile whose kernel a medium holds.
func mediumProfile(p Profile, files fs.FS) (Profile, error) {
	err := p.Validate()
	if err == nil {
		p, err = Prepare(p, files)
	}
	switch {
	case err != nil:
		return p, err
	case p.kind() != Linux:
		return p, fmt.Errorf("kind %s needs a boot server on the machine's network; boot it with --via pxe, or choose a profile of kind linux", p.kind())
	case slices.ContainsFunc(append([]string{p.Kernel}, p.Initrd...), isURL):
		return p, errors.New("a medium holds files of this site alone; put the kernel and the initrd into the files served")
	}
	return p, nil
}

// make lays out the image.
func (s *Server) make(m *medium, p Profile, q MediumRequest, r Request, at firmware.Endpoint) error {
	static, err := q.Network.arguments(q.MAC)
	if err != nil {
		return err
	}
	args, err := commandLine(p, r, at)
	if err != nil {
		return err
	}
	// An ip= of the profile asks for DHCP, or is the operator's own.
	args = slices.DeleteFunc(args, func(a string) bool { return a == "ip=dhcp" || a == "ip=on" || a == "ip=any" })
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "ip=") }) {
		args = append(args, strings.Fields(static)...)
	}
	c := bootiso.Content{}
	kernel, err := s.mediumFile(m, p.Kernel, "boot/kernel")
	if err != nil {
		return err
	}
	c.Files = append(c.Files, kernel)
	var initrds []string
	for i, name := range p.Initrd {
		f, err := s.mediumFile(m, name, fmt.Sprintf("boot/initrd%d", i))
		if err != nil {
			return err
		}
		c.Files, initrds = append(c.Files, f), append(initrds, "/"+f.Name)
	}
	s.mediumBIOS(&c, args, initrds)
	if err := s.mediumUEFI(&c, args, initrds); err != nil {
		return err
	}
	m.image, err = bootiso.New(c)
	return err
}

// mediumFile opens a file of Config.Files for as long as the medium exists.
func (s *Server) mediumFile(m *medium, name, as string) (bootiso.File, error) {
	name, _ = cleanName(name)
	if s.cfg.Files == nil {
		return bootiso.File{}, fmt.Errorf("file %s: no files are served: %w", name, fs.ErrNotExist)
	}
	c, err := openFile(s.cfg.Files, name)
	if errors.Is(err, fs.ErrNotExist) {
		c, err = insideISO(s.cfg.Files, name)
	}
	if err != nil {
		return bootiso.File{}, fmt.Errorf("file %s: %w", name, err)
	}
	m.files = append(m.files, c)
	switch f := c.ReadCloser.(type) {
	case io.ReaderAt:
		return bootiso.File{Name: as, Size: c.size, From: f}, nil
	case io.ReadSeeker:
		return bootiso.File{Name: as, Size: c.size, From: &seekingReader{f: f}}, nil
	}
	return bootiso.File{}, fmt.Errorf("file %s cannot be read at any place", name)
}

// maxLoader bounds a boot loader of a medium, which is read into memory, in bytes.
const maxLoader = 16 << 20

// mediumLoader reads a boot loader.
func (s *Server) mediumLoader(name string) ([]byte, error) {
	f, err := s.cfg.Loaders.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxLoader))
}

// isolinux returns ISOLINUX and its module: of its own package, else out of the ISO image of
// iPXE's.
func (s *Server) isolinux() (program, module []byte, err error) {
	program, perr := s.mediumLoader("isolinux.bin")
	module, merr := s.mediumLoader("ldlinux.c32")
	if perr == nil && merr == nil { // of one version, as Debian's packages are
		return program, module, nil
	}
	image, err := s.mediumLoader("ipxe.iso")
	if err != nil {
		return nil, nil, errors.Join(perr, merr, err)
	}
	fsys, err := iso9660.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, nil, err
	}
	for name, to := range map[string]*[]byte{"isolinux.bin": &program, "ldlinux.c32": &module} {
		r, err := fsys.Open(name)
		if err != nil {
			return nil, nil, err
		}
		if *to, err = io.ReadAll(r); err != nil {
			return nil, nil, err
		}
	}
	return program, module, nil
}

// mediumBIOS adds ISOLINUX. Without it UEFI alone boots the medium.
func (s *Server) mediumBIOS(c *bootiso.Content, args, initrds []string) {
	program, module, err := s.isolinux()
	if err != nil {
		s.log.Debug("boot medium without BIOS", "err", err)
		return
	}
	cfg := "DEFAULT maas\nPROMPT 0\nLABEL maas\n  KERNEL /boot/kernel\n"
	if len(initrds) > 0 {
		cfg += "  INITRD " + strings.Join(initrds, ",") + "\n"
	}
	cfg += "  APPEND " + strings.Join(args, " ") + "\n"
	c.BIOS = "isolinux/isolinux.bin"
	c.Files = append(c.Files, bootiso.Bytes(c.BIOS, program), bootiso.Bytes("isolinux/ldlinux.c32", module),
		bootiso.Bytes("isolinux/isolinux.cfg", []byte(cfg)))
}

// mediumUEFI adds shim, and the GRUB that reads CDs, for each architecture that they exist for.
func (s *Server) mediumUEFI(c *bootiso.Content, args, initrds []string) error {
	var missing error
	for _, arch := range []string{"x64", "aa64"} {
		grub, err := s.mediumLoader("gcd" + arch + ".efi")
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		boot, next := "EFI/BOOT/BOOT"+strings.ToUpper(arch)+".EFI", "EFI/BOOT/GRUB"+strings.ToUpper(arch)+".EFI"
		if shim, err := s.mediumLoader("shim" + arch + ".efi"); err == nil {
			c.ESP = append(c.ESP, bootiso.Bytes(boot, shim), bootiso.Bytes(next, grub))
		} else { // enough without Secure Boot
			c.ESP = append(c.ESP, bootiso.Bytes(boot, grub))
		}
	}
	if len(c.ESP) == 0 && c.BIOS == "" {
		return fmt.Errorf("no boot loader for CD drives: %w", missing)
	}
	line := "linux /boot/kernel"
	for _, a := range args {
		line += " " + quoteGRUB(a)
	}
	if len(initrds) > 0 {
		line += "\ninitrd " + strings.Join(initrds, " ")
	}
	// Debian's GRUB for CD drives finds its volume by .disk/info.
	c.Files = append(c.Files, bootiso.Bytes("boot/grub/grub.cfg", []byte("set timeout=0\n"+line+"\nboot\n")),
		bootiso.Bytes(".disk/info", []byte("maas\n")))
	return nil
}

// close closes the files.
func (m *medium) close() {
	for _, f := range m.files {
		_ = f.Close() // they were read only
	}
	m.closed = true
}

// add keeps a medium under a token that it returns, in the place of others of its machine.
func (a *media) add(m *medium) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = make(map[string]*medium)
	}
	oldest := ""
	for token, o := range a.all {
		if bytes.Equal(o.mac, m.mac) || time.Since(o.used) > mediumLife {
			a.drop(token)
		} else if oldest == "" || o.used.Before(a.all[oldest].used) {
			oldest = token
		}
	}
	if len(a.all) >= maxMedia {
		a.drop(oldest)
	}
	token := strings.ToLower(rand.Text())
	a.all[token] = m
	return token
}

// drop forgets a medium; the last request for it closes it.
func (a *media) drop(token string) {
	if m := a.all[token]; m != nil && m.users == 0 {
		m.close()
	}
	delete(a.all, token)
}

// take returns a medium for a request, whose end is reported by leave.
func (a *media) take(token string) (m *medium, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m = a.all[token]
	if m == nil || time.Since(m.used) > mediumLife {
		return nil, false
	}
	first, m.seen = !m.seen, true
	m.used = time.Now()
	m.users++
	return m, first
}

func (a *media) leave(token string, m *medium) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.users--; m.users == 0 && a.all[token] != m && !m.closed {
		m.close()
	}
}

// serveMedium answers a BMC, or firmware that boots by HTTP. BMCs read in thousands of small
// ranges, of which the first alone is an event.
func (s *Server) serveMedium(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, MediumPath)
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	token, file, _ := strings.Cut(rest, "/")
	m, first := s.media.take(token)
	if m == nil || file != "boot.iso" {
		if m != nil {
			s.media.leave(token, m)
		}
		http.Error(w, absentText, http.StatusNotFound)
		return true
	}
	defer s.media.leave(token, m)
	if first {
		in := newInbound(r)
		in.path = path.Join(MediumPath, file) // the token lets its readers in
		e := s.event(in)
		e.MAC, e.Profile, e.Size = m.mac, m.name, m.image.Size()
		s.finish(e, nil)
	}
	extend(w, m.image.Size())
	w.Header().Set("Content-Type", "application/vnd.efi-iso") // by which UEFI makes a RAM disk (UEFI 2.10 section 24.7)
	http.ServeContent(w, r, file, time.Time{}, m.image.Reader())
	return true
}
