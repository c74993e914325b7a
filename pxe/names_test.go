package pxe_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/tftp"
)

// names serves an operator's files beside the profile of every machine.
func names(t *testing.T, loaders, files fstest.MapFS, cfg pxe.Config) http.Handler {
	t.Helper()
	if cfg.Resolver == nil {
		cfg.Resolver = pxe.Static(pxe.Profile{Name: "p", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "quiet"})
	}
	cfg.Loaders, cfg.Files = loaders, files
	s, err := pxe.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s.Handler()
}

// get returns the body, or the status when that is not 200. It writes the path as it stands: clients
// send backslashes, doubled slashes and octets that are no text.
func get(h http.Handler, path string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.Path, r.RemoteAddr = path, "192.0.2.9:1000"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code)
	}
	return w.Body.String()
}

// What lies below a directory that our own names begin with, and is none of them, is the operator's.
func TestOperatorsFilesBelowOurDirectories(t *testing.T) {
	const mac = "52-54-00-77-e1-97"
	loaders, files := fstest.MapFS{}, fstest.MapFS{"both": {Data: []byte("ours")}, "vmlinuz": {Data: []byte("kernel")}}
	for _, name := range []string{
		"boot/shimx64.efi", "boot/x64/wdsnbp.com", "boot/fonts/wgl4_boot.ttf", "boot/BCD", "boot/grub/i386-pc/normal.mod", "boot/grub2/fonts/unicode.pf2",
		"boot/" + mac + "/notes", "boot/unknown/x", "boot/done", "grub/x86_64-efi/normal.mod", "grub/grub.cfg-0A4D00BA", "grub/grub.cfg.sig", "images/boot.iso", "images/both",
		"ppc64el/core.elf", "ppc64el/boot/grub/core.elf", "s390x/images/x", "s390x/generic.prm", "pxelinux.cfg/0A4D00BA", "EFI/BOOT/grub.cfg-custom",
	} {
		loaders[name] = &fstest.MapFile{Data: []byte("content of " + name)}
	}
	h := names(t, loaders, files, pxe.Config{})
	for path, want := range map[string]string{
		"/images/both":                     "ours", // our own name goes first
		"/images/gone":                     "404",
		"/boot/" + mac + "/kernel/vmlinuz": "kernel",
		"/boot/" + mac + "/kernel/gone":    "404",
		"/boot/grub/gone.mod":              "404",
		"/boot":                            "404",
		"/boot/grub":                       "404",
		"/boot/../boot/BCD":                "404",
		"/boot/grub/../../../etc/passwd":   "404",
		`\boot\x64\wdsnbp.com`:             "content of boot/x64/wdsnbp.com",
		`/\Boot\Fonts\wgl4_boot.ttf`:       "content of boot/fonts/wgl4_boot.ttf",
		`//Boot//X64//WDSNBP.COM`:          "content of boot/x64/wdsnbp.com",
		"/boot/BCD\xff":                    "content of boot/BCD",
		"/boot/shimx64.efi\xff3*G/../x":    "content of boot/shimx64.efi",
		"/boot/shimx64.efiB\t192.0.2.1":    "content of boot/shimx64.efi",
		"/../\xffboot/BCD":                 "404",
	} {
		if got := get(h, path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	for name, file := range loaders {
		want := string(file.Data)
		if name == "images/both" {
			continue
		}
		for _, path := range []string{"/" + name, "//" + name, `\` + strings.ReplaceAll(name, "/", `\`)} {
			if got := get(h, path); got != want {
				t.Errorf("%q: %q, want %q", path, got, want)
			}
		}
	}
}

// A configuration is found below every prefix that the makers of loaders use.
func TestConfigurationBelowAnyPrefix(t *testing.T) {
	const mac = "52-54-00-77-e1-97"
	h := names(t, fstest.MapFS{}, nil, pxe.Config{})
	for _, prefix := range []string{"", "grub/", "grub2/", "boot/grub/", "boot/grub2/", "boot/", "EFI/BOOT/", "EFI/debian/", "efi/", "boot/grub/x86_64-efi/", "ppc64el/boot/grub/", "images/grub/"} {
		for name, want := range map[string]string{
			"grub.cfg": "grub.cfg-01-", "grub.cfg-01-" + mac: "vmlinuz", "grub.cfg-" + mac: "vmlinuz", "grub.cfg-default-amd64": "vmlinuz",
			"pxelinux.cfg/01-" + mac: "vmlinuz", "pxelinux.cfg/default": "vmlinuz", "ipxe.cfg-" + mac: "vmlinuz", "autoexec.ipxe": "#!ipxe",
		} {
			got := get(h, "/"+prefix+name)
			if prefix == "images/grub/" {
				if got != "404" { // images/ holds files alone
					t.Errorf("%s: %q", prefix+name, got)
				}
				continue
			}
			if !strings.Contains(got, want) {
				t.Errorf("%s: %.80q, want %q in it", prefix+name, got, want)
			}
		}
	}
}

// iPXE's autoexec.ipxe is the text of ipxe.cfg, or the operator's own, and its absence is normal.
func TestAutoexec(t *testing.T) {
	var last pxe.Event
	cfg := pxe.Config{
		Events:   func(e pxe.Event) { last = e },
		Identify: pxe.IdentifierFunc(func(netip.Addr) (net.HardwareAddr, bool) { return net.HardwareAddr{2, 0, 0, 0, 0, 1}, true }),
	}
	for _, path := range []string{"autoexec.ipxe", "EFI/BOOT/autoexec.ipxe", "AUTOEXEC.IPXE"} {
		h := names(t, fstest.MapFS{}, nil, cfg)
		if got := get(h, "/"+path); !strings.HasPrefix(got, "#!ipxe\nisset ${netX/ip} || isset ${netX/ip6} || ifconf || ") || !strings.Contains(got, "chain --replace --autofree /boot/02-00-00-00-00-01/script.ipxe?") {
			t.Errorf("%s: %q", path, got)
		}
		own := names(t, fstest.MapFS{path: {Data: []byte("own")}}, nil, cfg)
		if got := get(own, "/"+path); got != "own" {
			t.Errorf("the operator's %s: %q", path, got)
		}
		for _, missing := range []error{pxe.ErrNoProfile, fmt.Errorf("no machine: %w", fs.ErrNotExist)} {
			absent := cfg
			absent.Resolver = pxe.ResolverFunc(func(context.Context, pxe.Request) (pxe.Profile, error) { return pxe.Profile{}, missing })
			if got := get(names(t, fstest.MapFS{}, nil, absent), "/"+path); got != "404" || !last.Absent || last.Err != "" {
				t.Errorf("%s without a profile: %q, event %+v", path, got, last)
			}
		}
	}
}

// What a machine asks for by a bare name is looked for beside the loader that it was handed, and
// then at the top.
func TestBeside(t *testing.T) {
	handed := ""
	cfg := pxe.Config{
		Beside:   func(net.HardwareAddr) string { return handed },
		Identify: pxe.IdentifierFunc(func(netip.Addr) (net.HardwareAddr, bool) { return net.HardwareAddr{2, 0, 0, 0, 0, 1}, true }),
	}
	h := names(t, fstest.MapFS{"grubx64.efi": {Data: []byte("top")}, "2023/grubx64.efi": {Data: []byte("2023")}, "mmx64.efi": {Data: []byte("top")}}, nil, cfg)
	for _, tt := range []struct{ handed, path, want string }{
		{"", "/grubx64.efi", "top"}, {"shimx64.efi", "/grubx64.efi", "top"}, {"2023/shimx64.efi", "/grubx64.efi", "2023"},
		{"2023/shimx64.efi", "/GRUBX64.EFI", "2023"}, {"2023/shimx64.efi", "/mmx64.efi", "top"}, {"2023/shimx64.efi", "/other/grubx64.efi", "404"},
	} {
		if handed = tt.handed; get(h, tt.path) != tt.want {
			t.Errorf("after %q, %s: %q, want %q", tt.handed, tt.path, get(h, tt.path), tt.want)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"/boot/grub/x", "boot\\..\\..\\secret", "undionly.kpxe\xff", "images/../../secret\xff", "ppc64el/boot/../..", "\xff", "a\tb/../../secret"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, name := range tftp.Names(s) {
			if clean, ok := tftp.CleanPath(name); !ok || clean != name || !fs.ValidPath(name) {
				t.Errorf("%q may be %q, which is not a clean path", s, name)
			}
		}
	})
}
