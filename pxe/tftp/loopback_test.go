package tftp_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/tftp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func randomBytes(n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(data)
	return data
}

// serve runs a server on conn for the length of the test.
func serve(t testing.TB, cfg tftp.Config, conn net.PacketConn) {
	t.Helper()
	s, err := tftp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Over real sockets: both families, bound to an address and to the wildcard,
// with a socket for each transfer and without.
func TestLoopback(t *testing.T) {
	data := randomBytes(3_000_000)
	tests := []struct{ name, listen, dial string }{
		{"v4", "127.0.0.1:0", "127.0.0.1"},
		{"v4-second-address", "0.0.0.0:0", "127.0.0.7"},
		{"v6", "[::1]:0", "::1"},
		{"both-as-v4", "[::]:0", "127.0.0.9"},
		{"both-as-v6", "[::]:0", "::1"},
	}
	clients := []tftp.Client{{BlockSize: 1468}, {BlockSize: 1468, WindowSize: 16, AskSize: true},
		{BlockSize: 512, WindowSize: 64}, {BlockSize: 65464, WindowSize: 4}}
	for _, tt := range tests {
		for _, single := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: "-single-port"}[single], func(t *testing.T) {
				conn, err := tftp.Listen(tt.listen)
				if err != nil {
					t.Fatal(err)
				}
				serve(t, tftp.Config{Handler: tftp.FS(fstest.MapFS{"dir/f": {Data: data}}), SinglePort: single}, conn)
				port := conn.LocalAddr().(*net.UDPAddr).Port
				address := net.JoinHostPort(tt.dial, strconv.Itoa(port))
				for _, c := range clients {
					var out bytes.Buffer
					x, err := c.Get(t.Context(), address, `\\dir//f`, &out)
					if err != nil || !bytes.Equal(out.Bytes(), data) {
						t.Fatalf("%+v: %v, %d bytes, %+v", c, err, out.Len(), x)
					}
					if c.WindowSize > 0 && x.Granted.WindowSize != min(c.WindowSize, 98304/c.BlockSize) {
						t.Errorf("%+v: granted %+v", c, x.Granted)
					}
				}
			})
		}
	}
}

// A block is as large as the path takes without fragments, and no larger.
func TestPathMTU(t *testing.T) {
	netlab.Require(t, netlab.Root)
	lab := netlab.New(t)
	server, client := lab.NS("server"), lab.NS("client")
	lab.Veth(server, "eth0", client, "eth0")
	server.Addr("eth0", "192.0.2.1/24")
	client.Addr("eth0", "192.0.2.2/24")
	server.Addr("eth0", "2001:db8::1/64")
	client.Addr("eth0", "2001:db8::2/64")
	server.IP("link", "set", "eth0", "mtu", "1400")
	var conn *net.UDPConn
	err := server.Do(func() (err error) { conn, err = tftp.Listen("[::]:69"); return err })
	if err != nil {
		t.Fatal(err)
	}
	data := randomBytes(500_000)
	serve(t, tftp.Config{Handler: tftp.FS(fstest.MapFS{"f": {Data: data}}), DialUDP: func(network string, l, r *net.UDPAddr) (c *net.UDPConn, err error) {
		_ = server.Do(func() error { c, err = net.DialUDP(network, l, r); return nil })
		return c, err
	}}, conn)

	linkLocal := "[" + linkLocalOf(t, server, "eth0") + "%eth0]:69"
	for _, tt := range []struct {
		address string
		want    int
	}{{"192.0.2.1:69", 1400 - 20 - 8 - 4}, {"[2001:db8::1]:69", 1400 - 40 - 8 - 4}, {linkLocal, 1400 - 40 - 8 - 4}} {
		var pc net.PacketConn
		var raddr *net.UDPAddr
		err := client.Do(func() (err error) {
			if raddr, err = net.ResolveUDPAddr("udp", tt.address); err != nil {
				return err
			}
			pc, err = net.ListenUDP("udp", nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		var out bytes.Buffer
		c := tftp.Client{BlockSize: 8192, WindowSize: 8, Resend: 200 * time.Millisecond}
		x, err := c.GetFrom(t.Context(), pc, raddr, "f", &out)
		if err != nil || !bytes.Equal(out.Bytes(), data) {
			t.Errorf("%s: %v, %d bytes, %+v", tt.address, err, out.Len(), x)
			continue
		}
		if x.Granted.BlockSize != tt.want {
			t.Errorf("%s: block %d, want %d", tt.address, x.Granted.BlockSize, tt.want)
		}
	}
}

// linkLocalOf waits for the interface's link-local address.
func linkLocalOf(t *testing.T, ns *netlab.NS, name string) (addr string) {
	t.Helper()
	for range 50 {
		err := ns.Do(func() error {
			ifi, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			addrs, err := ifi.Addrs()
			for _, a := range addrs {
				if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
					addr = p.Addr().String()
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if addr != "" {
			time.Sleep(2 * time.Second) // duplicate address detection
			return addr
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("no link-local address on " + name)
	return ""
}
