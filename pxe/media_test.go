package pxe_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/firmware"
)

// isoOf makes an ISO image of empty files, but for those with content.
func isoOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	netlab.Require(t, netlab.Program("xorriso", "xorriso"))
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "image.iso")
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := exec.CommandContext(t.Context(), "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-o", out, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The layouts of distributions' images, and how each is started.
var isoLayouts = []struct {
	name, want string
	files      []string
}{
	{"ubuntu", "casper/vmlinuz initrd=initrd0 boot=casper ip=dhcp url=http://10.77.0.1:5248/images/os.iso cloud-config-url=/dev/null", []string{"casper/vmlinuz", "casper/initrd"}},
	{"debian-live", "live/vmlinuz initrd=initrd0 boot=live components fetch=http://10.77.0.1:5248/images/os.iso/live/filesystem.squashfs", []string{"live/vmlinuz", "live/initrd.img", "live/filesystem.squashfs"}},
	{"fedora-live", "vmlinuz initrd=initrd0 root=live:http://10.77.0.1:5248/images/os.iso/LiveOS/squashfs.img rd.live.image", []string{"images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "LiveOS/squashfs.img"}},
	{"fedora-netinst", "vmlinuz initrd=initrd0 inst.stage2=http://10.77.0.1:5248/images/os.iso ip=dhcp", []string{"images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img"}},
	{"alma", "inst.repo=http://10.77.0.1:5248/images/os.iso", []string{"images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img", "BaseOS/repodata/repomd.xml"}},
	{"opensuse", "loader/linux initrd=initrd0 install=http://10.77.0.1:5248/images/os.iso", []string{"boot/x86_64/loader/linux", "boot/x86_64/loader/initrd"}},
	{"alpine", "vmlinuz-lts initrd=initrd0 ip=dhcp modules=loop,squashfs modloop=http://10.77.0.1:5248/images/os.iso/boot/modloop-lts", []string{"boot/vmlinuz-lts", "boot/initramfs-lts", "boot/modloop-lts"}},
	{"arch", "archisobasedir=arch archiso_http_srv=http://10.77.0.1:5248/images/os.iso/", []string{"arch/boot/x86_64/vmlinuz-linux", "arch/boot/x86_64/initramfs-linux.img"}},
	{"another", "sanboot --no-describe /boot/02-00-00-00-00-01/kernel/os.iso", []string{"readme.txt"}},
	{"debian-installer", "os.iso: the installer on Debian?s ISO images looks for its packages on a CD only", []string{"install.amd/vmlinuz", "install.amd/initrd.gz"}},
}

// An image of a known distribution starts by its kernel, another one whole; what is none ends with a
// line on the screen and the disk.
func TestISO(t *testing.T) {
	p := pxe.Profile{Name: "os", Kind: pxe.ISO, Image: "os.iso", Cmdline: "quiet"}
	script := func(files fstest.MapFS) string {
		return fetch(media(t, files, p), "/boot/02-00-00-00-00-01/script.ipxe?arch=7")
	}
	for _, l := range isoLayouts {
		files := map[string]string{}
		for _, f := range l.files {
			files[f] = "content of " + f
		}
		image := isoOf(t, files)
		got := script(fstest.MapFS{"os.iso": {Data: image}})
		if !strings.Contains(got, l.want) {
			t.Errorf("%s: %s\nwant %s", l.name, got, l.want)
		}
		h := media(t, fstest.MapFS{"os.iso": {Data: image}}, p)
		// A directory of the host has another error for a name below a file.
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "os.iso"), image, 0o600); err != nil {
			t.Fatal(err)
		}
		for where, h := range map[string]http.Handler{"memory": h, "directory": media(t, os.DirFS(dir), p)} {
			for _, f := range l.files {
				if got := fetch(h, "/images/os.iso/"+f); got != files[f] {
					t.Errorf("%s, %s: %s inside the image is %q", l.name, where, f, got)
				}
			}
		}
		if fetch(h, "/images/os.iso/none") != "404" || fetch(h, "/images/os.iso") != string(image) {
			t.Errorf("%s: the image itself, or a file that it lacks", l.name)
		}
		err := pxe.CheckMedia(p, fstest.MapFS{"os.iso": {Data: image}})
		if (err != nil) != (l.name == "debian-installer") {
			t.Errorf("%s: %v", l.name, err)
		}
	}
	for name, data := range map[string][]byte{"no image": []byte(strings.Repeat("text ", 100_000)), "cut off": isoOf(t, map[string]string{"a": "b"})[:20*2048], "empty": nil} {
		files := fstest.MapFS{"os.iso": {Data: data}}
		if got := script(files); !strings.Contains(got, "cannot be booted: os.iso: ") || !strings.Contains(got, "exit 1") {
			t.Errorf("%s: %s", name, got)
		}
		if err := pxe.CheckMedia(p, files); err == nil || !strings.HasPrefix(err.Error(), `pxe: profile "os": os.iso: `) || !strings.HasSuffix(err.Error(), "; put a whole ISO image there") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// media serves one profile from files.
func media(t testing.TB, files fs.FS, p pxe.Profile) http.Handler {
	t.Helper()
	s, err := pxe.New(pxe.Config{Resolver: pxe.Static(p), Files: files, Loaders: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	return s.Handler()
}

// fetch returns what is served at a path, with a query, to a client that reaches the server at 10.77.0.1.
func fetch(h http.Handler, path string) string {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = "10.77.0.9:1000"
	at := &net.TCPAddr{IP: net.IPv4(10, 77, 0, 1), Port: 5248}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, at)))
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code)
	}
	return w.Body.String()
}

const bootCfg = "bootstate=0\r\ntitle=Loading ESXi installer\nprefix=\nkernel=/b.b00\nkernelopt=runweasel cdromBoot\nmodules=/jumpstrt.gz --- /useropts.gz arg --- /s.v00\nbuild=8.0\n"

// mboot finds its configuration, rewritten for the network, and everything that it names.
func TestESXi(t *testing.T) {
	p := pxe.Profile{Name: "esxi", Kind: pxe.ESXi, Dir: "esxi8", Cmdline: "ks={http}/images/ks.cfg"}
	files := fstest.MapFS{"esxi8/boot.cfg": {Data: []byte(bootCfg)}, "esxi8/efi/boot/bootx64.efi": {Data: []byte("mboot")}, "esxi8/b.b00": {Data: []byte("kernel")}}
	h := media(t, files, p)
	script := fetch(h, "/boot/02-00-00-00-00-01/script.ipxe?arch=7")
	for _, want := range []string{"set mboot mboot.efi || set mboot mboot.c32\n", "kernel /boot/02-00-00-00-00-01/esxi/${mboot} -c /boot/02-00-00-00-00-01/esxi/boot.cfg"} {
		if !strings.Contains(script, want) {
			t.Errorf("%s\nwant %s", script, want)
		}
	}
	for path, want := range map[string]string{"mboot.efi": "mboot", "b.b00": "kernel", "none": "404"} {
		if got := fetch(h, "/boot/02-00-00-00-00-01/esxi/"+path); got != want {
			t.Errorf("%s is %q", path, got)
		}
	}
	for _, path := range []string{"boot.cfg", "01-02-00-00-00-00-01/boot.cfg"} {
		got := fetch(h, "/boot/02-00-00-00-00-01/esxi/"+path)
		for _, want := range []string{"/boot/02-00-00-00-00-01/esxi\n", "\nkernel=b.b00\n", "\nmodules=jumpstrt.gz --- useropts.gz arg --- s.v00\n", "\nkernelopt=runweasel ks=", "/images/ks.cfg\n", "bootstate=0\n"} {
			if !strings.Contains(got, want) || !strings.HasPrefix(got, "prefix=") || strings.Count(got, "prefix=") != 1 {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		}
	}
	for _, bad := range []string{"kernel=../b\nmodules=a", "kernel=/a\nmodules=/../../etc/shadow", "kernel=a\nmodules=b --- http://h/c", "kernel=a\\b\nmodules=c", "kernel=a\nmodules=//etc/x", "title=nothing"} {
		files["esxi8/boot.cfg"] = &fstest.MapFile{Data: []byte(bad)}
		if err := pxe.CheckMedia(p, files); err == nil || !strings.HasPrefix(err.Error(), `pxe: profile "esxi": esxi8/boot.cfg: `) {
			t.Errorf("%q: %v", bad, err)
		}
		h := media(t, files, p)
		if got := fetch(h, "/boot/02-00-00-00-00-01/script.ipxe?arch=7"); !strings.Contains(got, "cannot be booted: esxi8/boot.cfg: ") {
			t.Errorf("%q: %s", bad, got)
		}
	}
}

// Kinds that a loader cannot boot end with a line on its screen.
func TestKindsByLoader(t *testing.T) {
	windows := pxe.Profile{Name: "pe", Kind: pxe.Windows, Dir: "win", Initrd: []string{"unattend.xml"}}
	xen := pxe.Profile{Name: "xen", Kind: pxe.Multiboot, Kernel: "xen.efi", Cmdline: "dom0_mem=1G", Modules: []pxe.Module{{File: "vmlinuz", Cmdline: "root=/dev/ram0 ip={ip}"}, {File: "initrd"}}}
	iso := pxe.Profile{Name: "os", Kind: pxe.ISO, Image: "os.iso"}
	needs := "needs iPXE: set loader to ipxe in the profile"
	for _, tt := range []struct {
		p                    pxe.Profile
		ipxe, grub, pxelinux string
		loader               firmware.Language
	}{
		{windows, "kernel /boot/02-00-00-00-00-01/kernel/win/wimboot || goto again\ninitrd /boot/02-00-00-00-00-01/initrd/win/boot/bcd BCD || goto again\n" +
			"initrd /boot/02-00-00-00-00-01/initrd/win/boot/boot.sdi boot.sdi || goto again\ninitrd /boot/02-00-00-00-00-01/initrd/unattend.xml unattend.xml || goto again\n" +
			"initrd /boot/02-00-00-00-00-01/initrd/win/sources/boot.wim boot.wim || goto again\nboot", "needs iPXE", "needs iPXE", firmware.IPXE},
		{xen, "kernel /boot/02-00-00-00-00-01/kernel/xen.efi dom0_mem=1G || goto again\nmodule /boot/02-00-00-00-00-01/initrd/vmlinuz root=/dev/ram0 ip=",
			"multiboot2 '/boot/02-00-00-00-00-01/kernel/xen.efi' 'dom0_mem=1G'; then\n  if module2 '/boot/02-00-00-00-00-01/initrd/vmlinuz' 'root=/dev/ram0'", "needs iPXE", ""},
		{iso, "sanboot --no-describe", "needs iPXE", "KERNEL memdisk\n  INITRD boot/02-00-00-00-00-01/initrd/os.iso\n  APPEND iso raw", firmware.IPXE},
	} {
		for l, want := range map[firmware.Language]string{firmware.IPXE: tt.ipxe, firmware.GRUB: tt.grub, firmware.PXELINUX: tt.pxelinux} {
			r := pxe.Request{MAC: []byte{2, 0, 0, 0, 0, 1}, Config: l, Arch: firmware.ArchBIOS}
			got, err := pxe.Render(tt.p, r, firmware.Endpoint{})
			if want == "needs iPXE" {
				want = needs
			}
			if err != nil || !strings.Contains(got, want) {
				t.Errorf("%s by %s: %v\n%s\nwant %s", tt.p.Kind, l, err, got, want)
			}
		}
		if got := tt.p.LoaderChoice().Loader; got != tt.loader {
			t.Errorf("%s asks for loader %q, want %q", tt.p.Kind, got, tt.loader)
		}
	}
	menu := pxe.Profile{Kind: pxe.Menu, Entries: []pxe.MenuEntry{{Profile: "pe"}}, Profiles: []pxe.Profile{windows}}
	if err := menu.Validate(); err != nil || menu.LoaderChoice().Loader != firmware.IPXE {
		t.Errorf("a menu with Windows: %v, loader %q", err, menu.LoaderChoice().Loader)
	}
	if got := menu.Files(); !slices.Contains(got, "win/sources/boot.wim") || !slices.Contains(got, "unattend.xml") {
		t.Errorf("files %q", got)
	}
}

func TestValidateMedia(t *testing.T) {
	for want, p := range map[string]pxe.Profile{
		"image is empty": {Kind: pxe.ISO}, "image is a URL of another server": {Kind: pxe.ISO, Image: "http://h/x.iso"},
		"braces": {Kind: pxe.ISO, Image: "a{b}.iso"}, "dir is empty": {Kind: pxe.Windows}, "not a path inside": {Kind: pxe.ESXi, Dir: "../esxi"},
		"kernel is empty": {Kind: pxe.Multiboot}, "modules[0].file": {Kind: pxe.Multiboot, Kernel: "xen", Modules: []pxe.Module{{File: "a b"}}},
		"modules[0]: cmdline":                         {Kind: pxe.Multiboot, Kernel: "xen", Modules: []pxe.Module{{File: "a", Cmdline: "{none}"}}},
		"kind windows needs iPXE; set loader to ipxe": {Kind: pxe.Windows, Dir: "w", Loader: firmware.GRUB},
		"set kind to linux":                           {Kind: pxe.ESXi, Dir: "e", Loader: firmware.UKI},
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", p, err, want)
		}
	}
	files := fstest.MapFS{"w/wimboot": {Data: []byte("MZ")}, "w/boot/bcd": {Data: []byte("regf")}, "w/sources/boot.wim": {Data: []byte("MSWIM\x00\x00\x00")}}
	p := pxe.Profile{Name: "pe", Kind: pxe.Windows, Dir: "w"}
	if err := pxe.CheckMedia(p, files); err != nil {
		t.Error(err)
	}
	files["w/sources/boot.wim"] = &fstest.MapFile{Data: []byte("<html>not found")}
	if err := pxe.CheckMedia(p, files); err == nil || err.Error() != `pxe: profile "pe": w/sources/boot.wim is not what its name says, or is empty; copy it again` {
		t.Error(err)
	}
}
