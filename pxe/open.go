package pxe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gomaas/maas/pxe/firmware"
)

// inbound is one request of either protocol.
type inbound struct {
	proto        firmware.Proto
	path         string // as requested, without the query
	addr, server netip.Addr
	// Parameters of a link in an iPXE script; all of them are only claims.
	mac, uuid, arch, platform, buildarch string
}

// content is the answer to a request.
type content struct {
	io.ReadCloser
	size    int64
	modTime time.Time // zero for generated text
	text    bool
}

// maxPath is the length from which on a path names nothing, in bytes. Of a path, maxShown bytes are
// logged and reported: a region keeps hundreds of them for each boot.
const (
	maxPath  = 1024
	maxShown = 256
)

func (in inbound) shownPath() string { return in.path[:min(len(in.path), maxShown)] }

// identify works out who asks for res.
func (s *Server) identify(in inbound, res resource) Request {
	r := Request{MAC: res.mac, UUID: res.uuid, Addr: in.addr, Server: in.server, Arch: res.arch, Config: res.lang}
	if r.MAC == nil && in.mac != "" {
		r.MAC, _ = firmware.ParseMAC(in.mac)
	}
	if r.MAC == nil {
		if mac, ok := s.cfg.Identify.MACOf(in.addr); ok && len(mac) > 0 {
			r.MAC = mac
		}
	}
	if r.UUID == "" {
		r.UUID = parseUUID(in.uuid)
	}
	if r.Arch == firmware.ArchUnknown {
		r.Arch = claimedArch(in)
	}
	if r.Arch != firmware.ArchUnknown || res.lang != firmware.PXELINUX {
		r.Method = s.methodOf(in, res, r.Arch)
	}
	if c, ok := s.cfg.Describe(r.MAC); ok {
		s.complete(&r, c)
	}
	if r.Arch == firmware.ArchUnknown && res.lang == firmware.PXELINUX { // most likely
		r.Arch = firmware.ArchBIOS
	}
	if r.Method == "" {
		r.Method = s.methodOf(in, res, r.Arch)
	}
	return r
}

// complete adds what the machine said in DHCP to what it says now.
func (s *Server) complete(r *Request, c firmware.Client) {
	if r.UUID == "" {
		r.UUID = c.UUID
	}
	if c.IsRaspberryPi() && (r.Config == "" || r.Config == firmware.RaspberryPi) { // not what it says that it is
		r.Arch, r.Method = firmware.ArchRaspberryPi, ""
	}
	if r.Arch == firmware.ArchUnknown && len(c.Arch) > 0 {
		r.Arch = c.Arch[0]
	}
	if r.Method == "" {
		if o, ok := firmware.Select(s.cfg.Methods, c, firmware.Endpoint{}); ok {
			r.Method = o.Method.Name
		}
	}
}

// claimedArch reads the firmware type from an iPXE link: ours holds option 93, and ${platform} and
// ${buildarch} are iPXE's own words.
func claimedArch(in inbound) firmware.Arch {
	if n, err := strconv.ParseUint(in.arch, 10, 16); err == nil {
		return firmware.Arch(n)
	}
	switch in.platform {
	case "pcbios":
		return firmware.ArchBIOS
	case "efi":
		return archNamed(in.buildarch)
	}
	return firmware.ArchUnknown
}

// methodOf names the method of the table that a request belongs to: by its loader, or by the
// language and architecture of its configuration. Of several methods with a loader, the one of the
// request's protocol is meant. A loader, or a kernel that firmware runs, may also be an
// alternative's, which profiles choose.
func (s *Server) methodOf(in inbound, res resource, arch firmware.Arch) string {
	methods := s.cfg.Methods
	if res.kind == kindLoader || res.lang == firmware.UKI {
		methods = slices.Concat(methods, firmware.Alternatives())
	}
	other := ""
	for _, m := range methods {
		switch {
		case res.kind == kindLoader && m.Loader != "" && strings.EqualFold(m.Loader, path.Base(res.file)):
			if m.Proto == in.proto {
				return m.Name
			}
			other = cmp.Or(other, m.Name)
		case res.lang != "" && m.Config == res.lang && (res.lang != firmware.UKI || m.Proto == in.proto):
			if _, ok := m.Matches(firmware.Client{Arch: []firmware.Arch{arch}, UserClasses: []string{m.UserClass}, VendorClass: m.VendorClass}); ok {
				return m.Name
			}
		}
	}
	return other
}

// open finds the answer to a request. The event is filled in as far as it is known before the
// transfer, also when there is an error. For errors that wrap fs.ErrNotExist the client must
// receive "file not found".
func (s *Server) open(ctx context.Context, in inbound) (c content, e *Event, err error) {
	names := requested(in.path)
	if len(names) == 0 {
		return content{}, s.event(in), fmt.Errorf("pxe: %.80q is not a path: %w", in.path, fs.ErrNotExist)
	}
	c, e, err = s.openName(ctx, in, names[0])
	for _, name := range names[1:] {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		// The likeliest name is reported when none of them is found.
		if other, event, oerr := s.openName(ctx, in, name); oerr == nil {
			return other, event, nil
		}
	}
	return c, e, err
}

func (s *Server) event(in inbound) *Event {
	return &Event{Stage: StageFile, Addr: in.addr, Server: in.server, Arch: firmware.ArchUnknown, Path: in.shownPath(), Proto: string(in.proto), Size: -1}
}

func (s *Server) openName(ctx context.Context, in inbound, name string) (content, *Event, error) {
	e, res := s.event(in), parsePath(name)
	e.Stage = res.stage
	if res.kind == kindDone {
		e.Stage, e.Absent = StageConfig, firmware.Optional(s.cfg.Quirks, name)
		return content{}, e, fmt.Errorf("pxe: %s: %w", name, fs.ErrNotExist)
	}
	r := s.identify(in, res)
	e.MAC, e.UUID, e.Arch, e.Method = r.MAC, r.UUID, r.Arch, r.Method
	e.Profile = res.entry // files of an entry; a configuration sets what it was made from
	e.Claimed = s.borrowed(in, r.MAC)
	c, err := s.openResource(ctx, in, res, r, e)
	if err != nil {
		e.Absent = errors.Is(err, ErrNoProfile) || errors.Is(err, fs.ErrNotExist) && firmware.Optional(s.cfg.Quirks, name)
		return content{}, e, err
	}
	e.Size = c.size
	return c, e, nil
}

func (s *Server) openResource(ctx context.Context, in inbound, res resource, r Request, e *Event) (content, error) {
	switch res.kind {
	case kindConfig:
		if strings.EqualFold(path.Base(res.whole), autoexec) {
			// An operator who serves iPXE may have written one.
			if c, err := s.loader(in, r, res.whole); !errors.Is(err, fs.ErrNotExist) {
				return c, err
			}
			return s.autoexec(ctx, in, r)
		}
		return s.config(ctx, in, res, r, e)
	case kindInstaller:
		return s.installer(ctx, in, r, e)
	case kindESXi:
		return s.esxi(ctx, in, res, r, e)
	case kindPi:
		return s.raspberryPi(ctx, in, res, r, e)
	case kindFile:
		c, err := s.file(in, res.file)
		if res.whole != "" && errors.Is(err, fs.ErrNotExist) {
			if other, lerr := s.loader(in, r, res.whole); lerr == nil {
				return other, nil
			}
		}
		return c, err
	}
	c, err := s.loader(in, r, res.file)
	if errors.Is(err, fs.ErrNotExist) && !firmware.RaspberryPiNeeds(res.file) && s.isPi(r) {
		err = fmt.Errorf("%w: %w", ErrNoProfile, err) // one of the dozens of names that it tries
	}
	return c, err
}

// autoexec answers iPXE for UEFI, which asks for a script beside its own file before it has
// configured a network card: the script does that, and fetches the profile. A machine without a
// profile finds no script, and iPXE goes on with what DHCP names.
func (s *Server) autoexec(ctx context.Context, in inbound, r Request) (content, error) {
	if r.MAC != nil {
		if _, err := s.cfg.Resolver.Resolve(ctx, r); err != nil {
			return content{}, err
		}
	}
	return text(autoexecIPXE(s.linkBase(in), r)), nil
}

// cacheLimit is the size up to which files are kept in memory for a protocol.
func (in inbound) cacheLimit() int64 {
	if in.proto == firmware.TFTP {
		return cacheTFTP
	}
	return cacheHTTP
}

func (s *Server) file(in inbound, name string) (content, error) {
	if s.cfg.Files == nil {
		return content{}, fmt.Errorf("pxe: file %s: no files are served: %w", name, fs.ErrNotExist)
	}
	c, err := s.files.open(s.cfg.Files, cacheName{name: name}, in.cacheLimit())
	if errors.Is(err, fs.ErrNotExist) {
		if inside, ierr := insideISO(s.cfg.Files, name); ierr == nil {
			return inside, nil
		}
	}
	return c, err
}

// esxi opens a file for VMware's mboot, which looks for boot.cfg beside itself, first below the
// machine's address, and for modules where that says.
func (s *Server) esxi(ctx context.Context, in inbound, res resource, r Request, e *Event) (content, error) {
	p, err := s.profile(ctx, res, r)
	if err != nil {
		return content{}, err
	}
	e.Profile = p.Name
	if p.kind() != ESXi || s.cfg.Files == nil {
		return content{}, ErrNoProfile
	}
	switch base := path.Base(res.file); {
	case base == esxiBoot:
		at := firmware.Endpoint{Addr: in.server, HTTPPort: s.cfg.HTTPPort, SyslogPort: s.cfg.SyslogPort, Nonce: s.reports.nonce(r.MAC, time.Now())}
		options, err := commandLine(p, r, at)
		if err != nil {
			return content{}, err
		}
		entry := ""
		if res.entry != "" {
			entry = "menu/" + res.entry + "/"
		}
		cfg, err := readESXi(s.cfg.Files, p, at.URL()+"/boot/"+pathID(r)+"/"+entry+"esxi", strings.Join(options, " "))
		if err != nil {
			return content{}, err
		}
		return text(cfg), nil
	case res.file == "mboot.efi":
		return s.file(in, path.Join(p.Dir, esxiEFI))
	}
	return s.file(in, path.Join(p.Dir, res.file))
}

// profile resolves the profile of a machine, or of an entry of its menu.
func (s *Server) profile(ctx context.Context, res resource, r Request) (Profile, error) {
	p, err := s.cfg.Resolver.Resolve(ctx, r)
	if err != nil || res.entry == "" {
		return p, err
	}
	entry, ok := p.Entry(res.entry)
	if !ok { // the profile of the machine has changed while its menu was shown
		entry = gone(res.entry, "is no longer in the menu")
	}
	return entry, nil
}

// installer opens what a client runs itself: a switch with ONIE the file of its Chain profile, and
// firmware this one or a kernel. Neither has a way to be sent elsewhere, so a URL is no answer.
func (s *Server) installer(ctx context.Context, in inbound, r Request, e *Event) (content, error) {
	p, err := s.cfg.Resolver.Resolve(ctx, r)
	if err != nil {
		return content{}, err
	}
	e.Profile = p.Name
	if err := p.Validate(); err != nil {
		return content{}, err
	}
	file := ""
	switch {
	case p.kind() == Chain:
		file = p.URL
	case p.kind() == Linux && r.Config == firmware.UKI && len(p.Initrd) == 0:
		file = p.Kernel
	}
	if file == "" || isURL(file) {
		return content{}, ErrNoProfile
	}
	name, _ := cleanName(file)
	return s.file(in, name)
}

// config renders the profile of a machine. A client that named no machine and has no known address
// receives a script that comes back with its name.
func (s *Server) config(ctx context.Context, in inbound, res resource, r Request, e *Event) (content, error) {
	at := firmware.Endpoint{Addr: in.server, HTTPPort: s.cfg.HTTPPort, SyslogPort: s.cfg.SyslogPort}
	if r.MAC == nil && !res.named {
		switch res.lang {
		case firmware.IPXE:
			return text(identifyIPXE(s.linkBase(in))), nil
		case firmware.GRUB:
			return text(identifyGRUB()), nil
		}
	}
	p, err := s.profile(ctx, res, r)
	if err != nil {
		return content{}, err
	}
	e.Profile = p.Name
	ready, err := Prepare(p, s.cfg.Files)
	if err != nil { // a line on the screen, and then the disk
		s.fails.Warn("profile not bootable", "mac", e.MAC.String(), "profile", p.Name, "err", err)
		ready = gone(p.Name, "cannot be booted: "+err.Error())
	}
	p = ready
	if s.cfg.Servers != nil {
		at.Others = s.cfg.Servers(r)
	}
	at.Nonce = s.reports.nonce(r.MAC, time.Now())
	out, err := render(p, r, at, s.linkBase(in))
	if err != nil && res.entry != "" {
		s.fails.Warn("menu entry not bootable", "mac", e.MAC.String(), "profile", p.Name, "err", err)
		out, err = render(gone(res.entry, "cannot be booted by this loader"), r, at, s.linkBase(in))
	}
	if err != nil {
		return content{}, err
	}
	return text(out), nil
}

// linkBase begins the links of a script: they are relative when the script was fetched by HTTP, so
// that they lead to the server that the client reached, also through a proxy or a port forwarding.
func (s *Server) linkBase(in inbound) string {
	if in.proto == firmware.HTTP {
		return "/"
	}
	return firmware.Endpoint{Addr: in.server, HTTPPort: s.cfg.HTTPPort}.URL() + "/"
}

// loader opens a boot loader: by its name, beside the loader that the machine was handed, else by
// it in lower case, else by the name that UEFI's removable media path uses for it.
func (s *Server) loader(in inbound, r Request, name string) (content, error) {
	lower := strings.ToLower(name)
	open := func(name string) (content, error) {
		return s.files.open(s.cfg.Loaders, cacheName{loader: true, name: name}, in.cacheLimit())
	}
	if s.cfg.Beside != nil && !strings.Contains(name, "/") {
		if dir := path.Dir(s.cfg.Beside(r.MAC)); dir != "." {
			if c, err := open(path.Join(dir, lower)); !errors.Is(err, fs.ErrNotExist) {
				return c, err
			}
		}
	}
	c, err := open(name)
	for _, alias := range []string{lower, loaderAliases[lower]} {
		if alias == "" || alias == name || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		c, err = open(alias)
	}
	return c, err
}

var loaderAliases = map[string]string{
	"bootx64.efi":     "shimx64.efi",
	"bootaa64.efi":    "shimaa64.efi",
	"bootia32.efi":    "shimia32.efi",
	"bootriscv64.efi": "grubriscv64.efi",
}

func openFile(fsys fs.FS, name string) (content, error) {
	f, err := fsys.Open(name)
	if errors.Is(err, syscall.ENOTDIR) { // below a file of a directory, such as an ISO image, nothing exists
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return content{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		f.Close()
		return content{}, err
	}
	return content{ReadCloser: f, size: info.Size(), modTime: info.ModTime()}, nil
}

// text is generated content.
func text(s string) content {
	data := []byte(s)
	return content{ReadCloser: textFile{bytes.NewReader(data)}, size: int64(len(data)), text: true}
}

type textFile struct{ *bytes.Reader }

// Close does nothing.
func (textFile) Close() error { return nil }

// anonymous implements Identifier and knows no machine.
func anonymous(netip.Addr) (net.HardwareAddr, bool) { return nil, false }
