package pxe_test

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/internal/iso9660"
)

var mediumNetwork = pxe.Network{Address: netip.MustParsePrefix("198.51.100.21/24"), Gateway: netip.MustParseAddr("198.51.100.1"),
	DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("192.0.2.53")}, Hostname: "web-1.maas"}

func mediumServer(t *testing.T, events func(pxe.Event)) *pxe.Server {
	t.Helper()
	image := make([]byte, 40*2048) // an ISO that holds no system
	copy(image[16*2048:], "\x01CD001")
	copy(image[16*2048+156:], "\x22\x00\x14\x00\x00\x00\x00\x00\x00\x14\x00\x08")
	image[16*2048+156+25], image[16*2048+156+32] = 2, 1
	copy(image[17*2048:], "\xffCD001")
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	s, err := pxe.New(pxe.Config{
		Resolver: pxe.Static(pxe.Profile{Kind: pxe.Local}), Events: events,
		Files:   fstest.MapFS{"vmlinuz": file("the kernel"), "initrd": file("the initrd"), "more": file("more"), "other.iso": {Data: image}},
		Loaders: fstest.MapFS{"gcdx64.efi": file("MZ grub"), "shimx64.efi": file("MZ shim"), "isolinux.bin": file(strings.Repeat("x", 4096)), "ldlinux.c32": file("c32")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var mediumMAC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}

func readMedium(t *testing.T, s *pxe.Server, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// A medium holds the profile's files and configurations of both loaders, with the static address.
func TestMedium(t *testing.T) {
	var events []pxe.Event
	s := mediumServer(t, func(e pxe.Event) { events = append(events, e) })
	q := pxe.MediumRequest{MAC: mediumMAC, Network: mediumNetwork, Server: netip.MustParseAddr("192.0.2.1"),
		Profile: pxe.Profile{Name: "debian", Kernel: "vmlinuz", Initrd: []string{"initrd", "more"}, Cmdline: "quiet ip=dhcp from={server} it's"}}
	at, err := s.AddMedium(q)
	if err != nil {
		t.Fatal(err)
	}
	w := readMedium(t, s, at)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/vnd.efi-iso" {
		t.Fatalf("status %d, type %s", w.Code, w.Header().Get("Content-Type"))
	}
	im, err := iso9660.Open(strings.NewReader(w.Body.String()), int64(w.Body.Len()))
	if err != nil {
		t.Fatal(err)
	}
	const network = "ip=198.51.100.21::198.51.100.1:255.255.255.0:web-1::none:192.0.2.53"
	for name, wants := range map[string][]string{
		"boot/kernel": {"the kernel"}, "boot/initrd0": {"the initrd"}, "boot/initrd1": {"more"}, ".disk/info": {"maas"},
		"isolinux/isolinux.cfg": {"INITRD /boot/initrd0,/boot/initrd1\n", "APPEND quiet from=192.0.2.1 it's " + network + " BOOTIF=01-52-54-00-00-00-01\n"},
		"boot/grub/grub.cfg":    {"initrd /boot/initrd0 /boot/initrd1\n", `'it'\''s' '` + network + `' 'BOOTIF=01-52-54-00-00-00-01'`},
	} {
		r, err := im.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, r.Size())
		if _, err := r.ReadAt(text, 0); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s is %q, want %q", name, text, want)
			}
		}
	}
	if w := readMedium(t, s, at, "Range", "bytes=32768-32773"); w.Code != http.StatusPartialContent || w.Body.String() != "\x01CD001" {
		t.Errorf("a range: %d, %q", w.Code, w.Body)
	}
	if len(events) != 1 || events[0].MAC.String() != mediumMAC.String() || events[0].Path != "/medium/boot.iso" || events[0].Profile != "debian" {
		t.Errorf("events %+v, want the first read without its token", events)
	}
	if _, err := s.AddMedium(q); err != nil { // takes its place
		t.Fatal(err)
	}
	for _, gone := range []string{at, "/medium/x/boot.iso", "/medium/", strings.TrimSuffix(at, "boot.iso") + "other"} {
		if w := readMedium(t, s, gone); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", gone, w.Code)
		}
	}
}

// Of many media the oldest are forgotten.
func TestManyMedia(t *testing.T) {
	s := mediumServer(t, nil)
	var paths []string
	for i := range 70 {
		mac := net.HardwareAddr{0x52, 0x54, 0, 0, 1, byte(i)}
		at, err := s.AddMedium(pxe.MediumRequest{MAC: mac, Network: mediumNetwork, Profile: pxe.Profile{Kernel: "vmlinuz"}})
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, at)
	}
	kept := 0
	for _, p := range paths {
		if readMedium(t, s, p).Code == http.StatusOK {
			kept++
		}
	}
	if kept != 64 || readMedium(t, s, paths[69]).Code != http.StatusOK {
		t.Errorf("%d of 70 media are served, want 64", kept)
	}
}

// What no medium can boot is refused with the reason and the cure.
func TestMediumRefusals(t *testing.T) {
	s := mediumServer(t, nil)
	six := pxe.Network{Address: netip.MustParsePrefix("2001:db8::1/64")}
	linux := pxe.Profile{Kernel: "vmlinuz"}
	for want, q := range map[string]pxe.MediumRequest{
		"kind local needs a boot server": {Network: mediumNetwork, Profile: pxe.Profile{Kind: pxe.Local}},
		"kind iso needs a boot server":   {Network: mediumNetwork, Profile: pxe.Profile{Kind: pxe.ISO, Image: "other.iso"}},
		"files of this site alone":       {Network: mediumNetwork, Profile: pxe.Profile{Kernel: "http://192.0.2.9/vmlinuz"}},
		"static IPv4 address":            {Network: six, Profile: linux},
		"file none":                      {Network: mediumNetwork, Profile: pxe.Profile{Kernel: "none"}},
		"no variable {nothing}":          {Network: mediumNetwork, Profile: pxe.Profile{Kernel: "vmlinuz", Cmdline: "{nothing}"}},
	} {
		q.MAC = mediumMAC
		if _, err := s.AddMedium(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	bare, err := pxe.New(pxe.Config{Resolver: pxe.Static(linux), Files: fstest.MapFS{"vmlinuz": {}}, Loaders: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bare.AddMedium(pxe.MediumRequest{MAC: mediumMAC, Network: mediumNetwork, Profile: linux}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without loaders: error %v", err)
	}
}
