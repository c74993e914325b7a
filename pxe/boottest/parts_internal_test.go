package boottest

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDiscoveryControl(t *testing.T) {
	for name, tt := range map[string]struct {
		option string
		want   bool
	}{
		"absent":          {"", false},
		"use the offer":   {"\x06\x01\x08", true},
		"among others":    {"\x0a\x02\x00\x01\x06\x01\x0b\xff", true},
		"other bits":      {"\x06\x01\x07", false},
		"after the end":   {"\xff\x06\x01\x08", false},
		"cut off":         {"\x06\x02\x08", false},
		"another's value": {"\x06\x02\x08\x08", false},
	} {
		if got := useOffer([]byte(tt.option)); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for name, tt := range map[string]struct {
		option string
		want   bool
	}{
		"absent": {"", false}, "no proxy": {"\xb0\x01\x01", true}, "among others": {"\xb1\x02ab\xb0\x01\x01", true},
		"switched off": {"\xb0\x01\x00", false}, "cut off": {"\xb0\x01", false},
	} {
		if got := skipsProxy([]byte(tt.option)); got != tt.want {
			t.Errorf("iPXE, %s: %t", name, got)
		}
	}
}

func TestLoaderKinds(t *testing.T) {
	for uri, want := range map[string]string{
		"tftp://192.0.2.1/undionly.kpxe": "ipxe", "http://192.0.2.1/SNPONLY.EFI": "ipxe", "tftp://192.0.2.1/a/ipxe-arm64.efi": "ipxe",
		"tftp://192.0.2.1/shimx64.efi": "shim", "tftp://192.0.2.1/snponly-shimx64.efi": "shim", "tftp://192.0.2.1/ipxe-shimaa64.efi": "shim", "tftp://192.0.2.1/BOOTX64.EFI": "shim", "tftp://192.0.2.1/grubaa64.efi": "grub",
		"tftp://192.0.2.1/lpxelinux.0": "pxelinux", "tftp://192.0.2.1/vmlinuz": "", "http://[": "",
	} {
		if got := loaderKind(uri); got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}

// Shim writes the slash between directory and file twice over HTTP, and servers have to bear it.
func TestBeside(t *testing.T) {
	for uri, want := range map[string]string{
		"tftp://192.0.2.1/shimx64.efi":                "tftp://192.0.2.1/grubx64.efi",
		"tftp://192.0.2.1/efi/shimx64.efi":            "tftp://192.0.2.1/efi/grubx64.efi",
		"http://192.0.2.1:5248/shimx64.efi":           "http://192.0.2.1:5248//grubx64.efi",
		"http://192.0.2.1:5248/efi/shimx64.efi?mac=1": "http://192.0.2.1:5248/efi//grubx64.efi",
	} {
		if got := beside(uri, "grubx64.efi"); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
}

func TestTFTPURLs(t *testing.T) {
	for _, name := range []string{"f", "dir/f", "/f", "//grub/grub.cfg"} {
		server, got, err := splitTFTP(tftpURL(netip.MustParseAddr("192.0.2.1"), name))
		if err != nil || server.String() != "192.0.2.1" || got != name {
			t.Errorf("%q became %q at %s, %v", name, got, server, err)
		}
	}
	for _, uri := range []string{"http://192.0.2.1/f", "tftp://host/f", "://"} {
		if _, _, err := splitTFTP(uri); err == nil {
			t.Errorf("%s was taken", uri)
		}
	}
}

func TestReverseNames(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":     "7.2.0.192.in-addr.arpa.",
		"2001:db8::567": "7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
	} {
		if got := reverseName(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// testBoot is a machine that has a lease.
func testBoot() *boot {
	lease := &Lease{
		Addr: netip.MustParseAddr("192.0.2.100"), Mask: net.CIDRMask(24, 32), Server: netip.MustParseAddr("192.0.2.1"),
		NextServer: netip.MustParseAddr("192.0.2.2"), BootFile: "script.ipxe", Hostname: "node-1", Domain: "example.com",
		Routers: []netip.Addr{netip.MustParseAddr("192.0.2.254")}, DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
	}
	m := NewSegment(netip.MustParsePrefix("192.0.2.0/24")).NewMachine(MachineConfig{
		MAC: net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0xab}, Firmware: UEFIiPXE,
		UUID: [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	})
	return &boot{Machine: m, fw: UEFIiPXE, lease: lease}
}

func TestIPXESettings(t *testing.T) {
	s := &ipxeScript{boot: testBoot(), settings: map[string]string{"a": "1", "name": "a"}}
	for in, want := range map[string]string{
		"plain": "plain", "${a}${a}": "11", "${${name}}": "1", "${unset}": "", "${a": "${a", "}": "}",
		"${mac}": "52:54:00:12:34:ab", "${net0/mac:hexhyp}": "52-54-00-12-34-ab", "${mac:hexraw}": "5254001234ab",
		"${uuid}": "04030201-0605-0807-090a-0b0c0d0e0f10", "${platform}/${buildarch}": "efi/x86_64",
		"${ip} ${netmask} ${gateway} ${dns}": "192.0.2.100 255.255.255.0 192.0.2.254 192.0.2.53",
		"${dhcp-server} ${next-server}":      "192.0.2.1 192.0.2.2",
		"${hostname}.${domain} ${filename}":  "node-1.example.com script.ipxe",
	} {
		if got := s.expand(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	s.settings["self"] = "${self}${self}"
	if got := s.expand("${self}"); !strings.Contains(got, "${self}") {
		t.Errorf("a setting that refers to itself became %d bytes without an end", len(got))
	}
}

func TestConfigurationNames(t *testing.T) {
	b := testBoot()
	for pattern, want := range map[string][]string{
		"default":           {"default"},
		"01-{mac}":          {"01-52-54-00-12-34-ab"},
		"{uuid}":            {"04030201-0605-0807-090a-0b0c0d0e0f10"},
		"pxelinux/{hexip}x": {"pxelinux/C0000264x", "pxelinux/C000026x", "pxelinux/C00002x", "pxelinux/C0000x", "pxelinux/C000x", "pxelinux/C00x", "pxelinux/C0x", "pxelinux/Cx"},
	} {
		if diff := cmp.Diff(want, b.names(pattern)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
	b.lease.Addr = netip.MustParseAddr("2001:db8::1")
	if names := b.names("{hexip}"); names != nil {
		t.Errorf("names of an IPv6 address: %v", names)
	}
}

func TestParsePXELinux(t *testing.T) {
	c := parsePXELinux("default install\nPROMPT 1\ntimeout 50\nonerror local\n\nLABEL install\n  kernel vmlinuz\n  append quiet\n  INITRD a,b\n" +
		"label local\n LOCALBOOT 0\n")
	if c.first != "install" || !c.prompt || c.timeout != 5*time.Second || c.onError != "local" {
		t.Errorf("%+v", c)
	}
	if l := c.labels["install"]; l.kernel != "vmlinuz" || l.args != "quiet" || l.initrd != "a,b" || l.local {
		t.Errorf("%+v", l)
	}
	if !c.labels["local"].local {
		t.Errorf("%+v", c.labels["local"])
	}
	p := &pxelinux{boot: testBoot(), server: netip.MustParseAddr("192.0.2.2"), prefix: "maas/"}
	for in, want := range map[string]string{
		"vmlinuz": "tftp://192.0.2.2/maas/vmlinuz", "192.0.2.9::vmlinuz": "tftp://192.0.2.9/vmlinuz", "http://192.0.2.1/k": "http://192.0.2.1/k",
	} {
		if got := p.url(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestGRUBWords(t *testing.T) {
	for in, want := range map[string]int{
		"": 0, "# only a comment": 0, "set a=1; echo $a\n": 6, "if [ -z \"$x\" ]; then true; fi": 10,
		"menuentry 'a b' {\n linux /k \\\n quiet\n}": 9, "echo a\\ b": 2, "echo ${net_default_ip}.x": 2,
	} {
		tokens, err := lexGRUB(in)
		if err != nil || len(tokens) != want {
			t.Errorf("%q: %d tokens, %v; want %d", in, len(tokens), err, want)
		}
	}
	for _, in := range []string{"echo 'open", `echo "open`, "echo ${open"} {
		if _, err := lexGRUB(in); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}
