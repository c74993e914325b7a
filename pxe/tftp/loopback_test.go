package tftp_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"testing/fstest"

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
