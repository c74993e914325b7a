package rmcp_test

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/gomaas/maas/power/ipmi/internal/rmcp"
)

// serve starts a BMC of another implementation and returns its address.
func serve(t testing.TB, options ...bmc.Option) string {
	t.Helper()
	b := bmc.New(bmc.DeviceInfo{IPMIVersion: 0x20}, [16]byte{1, 2, 3}, mock.New(), append(options, bmc.WithClock(clock.Real))...)
	u, err := b.Users.Add(2, "admin")
	if err != nil {
		t.Fatal(err)
	}
	u.SetPassword([]byte("secret"))
	u.Enabled = true
	u.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: bmc.PrivilegeLevelAdministrator, Enabled: true}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn := udp.Wrap(socket)
	srv := server.NewServer(b, conn)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = srv.Serve(ctx) })
	t.Cleanup(func() { cancel(); srv.Close(); conn.Close(); done.Wait() })
	return socket.LocalAddr().String()
}

func config(address string) rmcp.Config {
	return rmcp.Config{Address: address, User: "admin", Password: "secret", Suite: 17, Privilege: rmcp.Operator, Wait: time.Second, Tries: 2}
}

// status reads the chassis status.
func status(t testing.TB, s *rmcp.Session) {
	t.Helper()
	answer, err := s.Command(t.Context(), 0, 1, nil)
	if err != nil || len(answer) < 3 {
		t.Fatalf("% x, %v", answer, err)
	}
}

func TestSuites(t *testing.T) {
	address := serve(t)
	for _, suite := range []uint8{3, 17} {
		cfg := config(address)
		cfg.Suite = suite
		s, err := rmcp.Dial(t.Context(), cfg)
		if err != nil {
			t.Fatalf("suite %d: %v", suite, err)
		}
		for range 100 { // more than there are request numbers
			status(t, s)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("suite %d: close: %v", suite, err)
		}
	}
	cfg := config(address)
	cfg.Suite = 8
	_, err := rmcp.Dial(t.Context(), cfg)
	var refused rmcp.Status
	if err != nil && (!errors.As(err, &refused) || !refused.Suite()) {
		t.Errorf("suite 8, which this BMC need not know: %v", err)
	}
}

func TestKey(t *testing.T) {
	address := serve(t, bmc.WithKG([]byte("twenty octets of key")))
	cfg := config(address)
	cfg.Key = []byte("twenty octets of key")
	s, err := rmcp.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	status(t, s)
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	cfg.Key = []byte("another")
	if _, err := rmcp.Dial(t.Context(), cfg); !errors.Is(err, rmcp.ErrKey) {
		t.Errorf("wrong key: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	address := serve(t)
	cfg := config(address)
	cfg.Password = "wrong"
	if _, err := rmcp.Dial(t.Context(), cfg); !errors.Is(err, rmcp.ErrPassword) {
		t.Errorf("wrong password: %v", err)
	}
	cfg = config(address)
	cfg.User = "nobody"
	var refused rmcp.Status
	if _, err := rmcp.Dial(t.Context(), cfg); !errors.As(err, &refused) && !errors.Is(err, rmcp.ErrPassword) {
		t.Errorf("unknown user: %v", err)
	}
	s, err := rmcp.Dial(t.Context(), config(address))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	var code rmcp.Completion
	if _, err := s.Command(t.Context(), 0, 0x7f, nil); !errors.As(err, &code) || code != 0xc1 {
		t.Errorf("unknown command: %v", err)
	}
}

func TestTimeIsBounded(t *testing.T) {
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cfg := config(silent.LocalAddr().String())
	cfg.Wait = 50 * time.Millisecond
	if _, err := rmcp.Dial(t.Context(), cfg); !errors.Is(err, rmcp.ErrSilent) {
		t.Errorf("nobody answers: %v", err)
	}
	cfg.Wait = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := rmcp.Dial(ctx, cfg); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// A middleman that repeats, spoils and invents packets only costs time.
func TestNoise(t *testing.T) {
	backend := serve(t)
	front, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.Dial("udp4", backend)
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	defer front.Close()
	go func() {
		in, out := make([]byte, 2048), make([]byte, 2048)
		for {
			n, from, err := front.ReadFrom(in)
			if err != nil {
				return
			}
			_, _ = back.Write(in[:n])
			_ = back.SetReadDeadline(time.Now().Add(time.Second))
			m, err := back.Read(out)
			if err != nil {
				continue
			}
			spoilt := append([]byte(nil), out[:m]...)
			if spoilt[5]&0x80 != 0 { // of a session: messages of the handshake have no check of the whole
				spoilt[m-1] ^= 0xff
			}
			for _, packet := range [][]byte{{}, {6, 0, 0xff, 7}, spoilt, out[:m/2], in[:n], out[:m], out[:m]} {
				_, _ = front.WriteTo(packet, from)
			}
		}
	}()
	s, err := rmcp.Dial(t.Context(), config(front.LocalAddr().String()))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		status(t, s)
	}
	_ = s.Close(t.Context())
}

func BenchmarkQuery(b *testing.B) {
	address := serve(b)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := rmcp.Dial(b.Context(), config(address))
			if err != nil {
				b.Fatal(err)
			}
			status(b, s)
			_ = s.Close(b.Context())
		}
	})
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	b.Run("go-ipmi", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c, err := client.NewClient(host, number, "admin", "secret")
			if err != nil {
				b.Fatal(err)
			}
			c.WithInterface(client.InterfaceLanplus).WithCipherSuiteID(types.CipherSuiteID17).WithMaxPrivilegeLevel(types.PrivilegeLevelOperator)
			if err := c.Connect(b.Context()); err != nil {
				b.Fatal(err)
			}
			if _, err := c.GetChassisStatus(b.Context()); err != nil {
				b.Fatal(err)
			}
			_ = c.Close(b.Context())
		}
	})
	b.Run("ipmitool", func(b *testing.B) {
		if _, err := exec.LookPath("ipmitool"); err != nil {
			b.Skip(err)
		}
		for b.Loop() {
			cmd := exec.Command("ipmitool", "-I", "lanplus", "-C", "17", "-H", host, "-p", port, "-U", "admin", "-E", "-L", "OPERATOR", "power", "status")
			cmd.Env = []string{"IPMI_PASSWORD=secret"}
			if out, err := cmd.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	})
}

func BenchmarkCommand(b *testing.B) {
	s, err := rmcp.Dial(b.Context(), config(serve(b)))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		status(b, s)
	}
}
