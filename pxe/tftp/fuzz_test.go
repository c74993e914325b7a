package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/pxe/tftp"
)

// firmwareRequests are requests as seen on the wire.
var firmwareRequests = []string{
	"\x00\x01shimx64.efi\x00octet\x00tsize\x000\x00blksize\x001468\x00windowsize\x004\x00", // EDK II
	"\x00\x01/grub/grub.cfg\x00octet\x00blksize\x001024\x00tsize\x000\x00",                 // GRUB
	"\x00\x01boot.ipxe\x00octet\x00blksize\x001432\x00tsize\x000\x00",                      // iPXE
	"\x00\x01pxelinux.cfg/default\x00octet\x00tsize\x000\x00blksize\x001408\x00",           // pxelinux
	"\x00\x01f\x00NetASCII\x00BLKSIZE\x00512\x00timeout\x001\x00",
	"\x00\x01f\x00octet\x00timeout\x00255\x00windowsize\x0065535\x00blksize\x0065464", // last NUL missing
	"\x00\x02f\x00octet\x00",
	"\x00\x01f\x00mail\x00",
	"\x00\x01",
	"\x00\x04\x00\x01",
	"\x00\x05\x00\x08stop\x00",
}

// FuzzServer sends arbitrary packets, cut out of the input at each "|", as one
// client. The server must neither panic nor hang nor leak, and never answer more
// than it could be asked for.
func FuzzServer(f *testing.F) {
	for _, p := range firmwareRequests {
		f.Add([]byte(p))
		f.Add([]byte(p + "|\x00\x04\x00\x00|\x00\x04\x00\x01|" + p + "|\x00\x05\x00\x00x\x00"))
	}
	files := fstest.MapFS{"f": {Data: randomBytes(2000)}, "shimx64.efi": {Data: randomBytes(70_000)}}
	f.Fuzz(func(t *testing.T, input []byte) {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, tftp.Config{Handler: tftp.FS(files), Silence: time.Second})
			for _, p := range bytes.SplitN(input, []byte("|"), 20) {
				l.client.WriteTo(p, l.server.LocalAddr())
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Minute)
			l.close()
			if l.net.sent > 20_000 {
				t.Errorf("%d packets for %d bytes of input", l.net.sent, len(input))
			}
		})
	})
}

// FuzzClient answers a client with arbitrary packets.
func FuzzClient(f *testing.F) {
	f.Add([]byte("\x00\x06blksize\x001468\x00windowsize\x004\x00|\x00\x03\x00\x01data"))
	f.Add([]byte("\x00\x06tsize\x00-1\x00blksize\x0065464\x00|\x00\x03\x00\x00"))
	f.Add([]byte("\x00\x05\x00\x01no"))
	f.Fuzz(func(t *testing.T, input []byte) {
		synctest.Test(t, func(t *testing.T) {
			n := newMemNet()
			server, client := n.listen("192.0.2.1:69"), n.listen("192.0.2.2:2000")
			defer server.Close()
			defer client.Close()
			go func() {
				b := make([]byte, 2000)
				_, from, err := server.ReadFrom(b)
				for _, p := range bytes.SplitN(input, []byte("|"), 20) {
					if err == nil {
						server.WriteTo(p, from)
					}
				}
			}()
			var out bytes.Buffer
			c := tftp.Client{BlockSize: 1468, WindowSize: 4, AskSize: true, Mode: tftp.NetASCII, Tries: 2}
			c.GetFrom(context.Background(), client, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 69}, "f", &out)
		})
	})
}

// FuzzCleanPath checks that no name leaves the root, and that a clean path
// stays as it is.
func FuzzCleanPath(f *testing.F) {
	for _, s := range []string{"/grub/grub.cfg", `\EFI\BOOT\grubx64.efi`, "//grubx64.efi", "../../etc/passwd", "a/../b", "a/./b/", "", "/", ".", "..", "a\x00b", "a\nb", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, ok := tftp.CleanPath(name)
		if !ok {
			return
		}
		if !fs.ValidPath(got) || strings.Contains(got, `\`) || got == "." {
			t.Fatalf("CleanPath(%q) is %q", name, got)
		}
		if again, ok := tftp.CleanPath(got); !ok || again != got {
			t.Errorf("CleanPath(%q) is %q, and of that %q, %t", name, got, again, ok)
		}
	})
}

// Old PXE ROMs ask for a name with the options of DHCP that follow it.
func TestNames(t *testing.T) {
	for in, want := range map[string][]string{
		"undionly.kpxe":                         {"undionly.kpxe"},
		"/boot//x.efi":                          {"boot/x.efi"},
		"日本":                                    {"日本"},
		"undionly.kpxe\xff":                     {"undionly.kpxe"},
		"undionly.kpxe\xff\xd1":                 {"undionly.kpxe"},
		"undionly.kpxe\xff3*G":                  {"undionly.kpxe"},
		`\boot\x64\wdsnbp.com` + "\xff":         {"boot/x64/wdsnbp.com"},
		"undionly.kpxeB\t192.0.2.1\x1c\x04\xc0": {"undionly.kpxeB", "undionly.kpxe"}, // option 66 follows
		"undionly.kpxe\x06\x04\xc0\x00":         {"undionly.kpxe", "undionly.kpx"},   // option 6
		"undionly.kpxe\x80\x04abc":              {"undionly.kpxe"},                   // option 128
		"x\xff/../../etc/passwd":                {"x"},
		"../x\xff":                              nil,
		"\xff\xff":                              nil,
		"\x01x":                                 nil,
		"":                                      nil,
		"..":                                    nil,
		strings.Repeat("x", 1024) + "\xff":      nil,
	} {
		if got := tftp.Names(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, name := range []string{"loader\xff", "loaderB\tx"} {
		f, err := tftp.FS(fstest.MapFS{"loader": {Data: []byte("x")}}).Open(t.Context(), &tftp.Request{Name: name})
		if err != nil || f.Size != 1 {
			t.Errorf("%q: %+v, %v", name, f, err)
		}
	}
	if _, err := tftp.FS(fstest.MapFS{}).Open(t.Context(), &tftp.Request{Name: "loader\xff"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}
