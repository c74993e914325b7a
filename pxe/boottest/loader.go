package boottest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// tftpURL names a file of a TFTP server; a name with a leading slash keeps it.
func tftpURL(server netip.Addr, name string) string {
	host := server.String()
	if server.Is6() {
		host = "[" + host + "]"
	}
	return (&url.URL{Scheme: "tftp", Host: host, Path: "/" + name}).String()
}

// splitTFTP splits a URL of TFTP into the server and the name.
func splitTFTP(uri string) (server netip.Addr, name string, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return server, "", err
	}
	if server, err = netip.ParseAddr(u.Hostname()); err != nil || u.Scheme != "tftp" {
		return server, "", fmt.Errorf("%s is not a file of a TFTP server", uri)
	}
	return server, tftpName(u), nil
}

// fileURL turns the boot file of a DHCP answer into a URL.
func (b *boot) fileURL(file string) (string, error) {
	if strings.Contains(file, "://") {
		return file, nil
	}
	// siaddr is the server to fetch from. Without it firmware asks the DHCP server itself.
	server := b.lease.NextServer
	if !server.IsValid() {
		server = b.lease.Server
	}
	if !server.IsValid() {
		return "", fmt.Errorf("boot file %q, but no server to get it from", file)
	}
	return tftpURL(server, file), nil
}

// load fetches and runs the boot file.
func (b *boot) load(ctx context.Context, file string) error {
	uri, err := b.fileURL(file)
	if err != nil {
		return err
	}
	return b.runImage(ctx, uri)
}

// runImage fetches what a URL names, an iPXE script if the machine runs iPXE, else a program, and
// runs it.
func (b *boot) runImage(ctx context.Context, uri string) error {
	// Loaders that load each other are a mistake of the server under test; without an end the test
	// would hang.
	if b.depth++; b.depth > maxDepth {
		return fmt.Errorf("%d loaders in a row load each other: %s", maxDepth, uri)
	}
	kind, stage := loaderKind(uri), StageLoader
	if kind == "uki" {
		return b.kernel(ctx, uri)
	}
	// A name that is no loader's is a script to iPXE, which looks at the content.
	if kind == "" && b.fw.Loader == "ipxe" {
		stage = StageConfig
	}
	content, err := b.image(ctx, b.own(), stage, uri)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(content, "#!ipxe") && b.fw.Loader == "ipxe":
		return b.ipxe(ctx, content, uri)
	case b.refuses(content):
		return fmt.Errorf("%s: access denied by Secure Boot", uri)
	case kind == "ipxe":
		return b.startIPXE(ctx, uri)
	case kind == "shim":
		return b.shim(ctx, uri)
	case kind == "grub":
		return b.grub(ctx, uri)
	case kind == "pxelinux":
		return b.pxelinux(ctx, uri)
	}
	return fmt.Errorf("%s cannot run %s: neither a script nor a loader whose name this simulation knows", b.fw.Name, uri)
}

// kernel runs a kernel as firmware does any program: its initrd and command line are inside.
func (b *boot) kernel(ctx context.Context, uri string) error {
	file, err := b.binary(ctx, b.own(), StageKernel, uri)
	if err != nil {
		return err
	}
	b.report.Running = Running{Kind: Linux, Kernel: file}
	return &ended{Linux}
}

// refuses reports whether Secure Boot refuses a program.
func (b *boot) refuses(program string) bool {
	return b.cfg.Refuse != nil && b.cfg.Refuse([]byte(program))
}

// loaderKind returns the kind of a boot program by its name; "" = not known.
func loaderKind(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	base := strings.ToLower(path.Base(u.Path))
	for _, p := range []struct{ pattern, kind string }{
		{"*-shim*.efi", "shim"}, {"*.kpxe", "ipxe"}, {"*.kkpxe", "ipxe"}, {"ipxe*.pxe", "ipxe"}, {"ipxe*.efi", "ipxe"}, {"snponly*.efi", "ipxe"},
		{"shim*.efi", "shim"}, {"boot*.efi", "shim"}, {"grub*.efi", "grub"},
		{"*pxelinux.0", "pxelinux"}, {"uki.efi", "uki"},
	} {
		if ok, _ := path.Match(p.pattern, base); ok {
			return p.kind
		}
	}
	return ""
}

// startIPXE makes the machine run iPXE, which asks for an address and a boot file itself.
func (b *boot) startIPXE(ctx context.Context, uri string) error {
	// iPXE is another DHCP client, with other options; the firmware's lease is not used any more.
	ipxe := BIOSiPXE
	if b.fw.EFI {
		ipxe = UEFIiPXE
		switch suffix, _ := b.fw.cpu(); suffix {
		case "aa64":
			ipxe = ipxe.as(ipxe.Name, 11, "PXEClient:Arch:00011:UNDI:003010")
		case "riscv64":
			ipxe = ipxe.as(ipxe.Name, 27, "PXEClient:Arch:00027:UNDI:003010")
		case "loongarch64":
			ipxe = ipxe.as(ipxe.Name, 39, "PXEClient:Arch:00039:UNDI:003010")
		}
	}
	b.fw = ipxe
	if b.cfg.Autoexec && b.fw.EFI {
		for _, name := range []string{beside(uri, "autoexec.ipxe"), atTop(uri, "autoexec.ipxe")} {
			text, err := b.text(ctx, b.own(), StageConfig, name)
			switch {
			case err == nil:
				b.offline = true // until a command of the script configures a network card
				return b.ipxe(ctx, text, name)
			case !errors.Is(err, fs.ErrNotExist):
				return err
			}
		}
	}
	return b.network(ctx)
}

// atTop returns the URL of a file at the top of the server.
func atTop(uri, name string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return uri
	}
	u.Path, u.RawQuery = "/"+name, ""
	return u.String()
}

// shim looks for its optional files beside it, then runs GRUB from there. It uses the firmware's
// own protocols.
func (b *boot) shim(ctx context.Context, uri string) error {
	src := b.own()
	// Shim calls the firmware's PXE protocol with options of its own, and asks for no sizes.
	src.by, src.tftp, src.probe, src.head = "shim", shimTFTP, false, false
	for _, name := range []string{"revocations_sku.efi", "revocations_sbat.efi", "shim_certificate_0.efi"} {
		if _, err := b.binary(ctx, src, StageLoader, beside(uri, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	next := b.afterShim(uri)
	program, err := b.image(ctx, src, StageLoader, next)
	switch {
	case err != nil:
		return err
	case b.refuses(program):
		return fmt.Errorf("shim: %s: bad shim signature", next)
	case loaderKind(next) == "ipxe":
		return b.startIPXE(ctx, next)
	}
	return b.grub(ctx, next)
}

// afterShim returns the URL of the loader that a shim starts: GRUB for its processor, whatever name
// the shim was itself fetched by, but for iPXE's shim, which replaces the end of its own name.
func (b *boot) afterShim(uri string) string {
	suffix, _ := b.fw.cpu()
	if u, err := url.Parse(uri); err == nil {
		if name, ok := strings.CutSuffix(strings.ToLower(path.Base(u.Path)), "-shim"+suffix+".efi"); ok {
			return beside(uri, name+".efi")
		}
	}
	return beside(uri, "grub"+suffix+".efi")
}

// beside returns the URL of a file in the same directory. Over HTTP shim writes the slash between
// twice.
func beside(uri, name string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return uri
	}
	dir := path.Dir(strings.TrimPrefix(u.Path, "/"))
	switch {
	case u.Scheme == "http":
		u.Path, u.RawQuery = "/"+strings.TrimPrefix(dir+"//", ".//")+name, ""
		if dir == "." {
			u.Path = "//" + name
		}
	case dir == ".":
		u.Path = "/" + name
	default:
		u.Path = "/" + dir + "/" + name
	}
	return u.String()
}
