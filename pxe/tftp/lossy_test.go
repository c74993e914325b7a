package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/pxe/tftp"
)

// lab is a server and a client on a memNet, inside a bubble.
type lab struct {
	t         *testing.T
	net       *memNet
	server    *memConn
	client    *memConn
	transfers chan tftp.Transfer
	files     fstest.MapFS
	cancel    context.CancelFunc
	done      chan error
}

func newLab(t *testing.T, cfg tftp.Config) *lab {
	l := &lab{t: t, net: newMemNet(), transfers: make(chan tftp.Transfer, 100), files: fstest.MapFS{}, done: make(chan error, 1)}
	if cfg.Handler == nil {
		cfg.Handler = tftp.FS(l.files)
	}
	if cfg.Known == nil {
		cfg.Known = func(netip.Addr) bool { return true }
	}
	cfg.Events = func(x tftp.Transfer) { l.transfers <- x }
	s, err := tftp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.server, l.client = l.net.listen("192.0.2.1:69"), l.net.listen("192.0.2.2:2000")
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	go func() { l.done <- s.Serve(ctx, l.server) }()
	return l
}

// close ends the server and, in a bubble, proves that nothing is left running.
func (l *lab) close() {
	l.cancel()
	if err := <-l.done; err != nil {
		l.t.Error(err)
	}
	l.client.Close()
}

func (l *lab) file(name string, size int) []byte {
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(uint64(size), 7))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	l.files[name] = &fstest.MapFile{Data: data}
	return data
}

// get fetches and compares.
func (l *lab) get(c tftp.Client, name string) (client, server tftp.Transfer) {
	l.t.Helper()
	var out bytes.Buffer
	client, err := c.GetFrom(context.Background(), l.client, l.server.LocalAddr(), name, &out)
	if err != nil {
		l.t.Fatalf("get %s: %v; %+v", name, err, client)
	}
	if want := l.files[name].Data; !bytes.Equal(out.Bytes(), want) {
		l.t.Fatalf("get %s: %d bytes arrived, and not the %d that were sent", name, out.Len(), len(want))
	}
	return client, <-l.transfers
}

func TestSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{})
		defer l.close()
		for _, size := range []int{0, 1, 511, 512, 513, 1024, 4 * 512, 4*512 + 1, 16 * 512, 100_000} {
			for _, c := range []tftp.Client{{}, {WindowSize: 4}, {BlockSize: 1024, WindowSize: 16, AskSize: true}, {BlockSize: 8}} {
				name := fmt.Sprint(size)
				data := l.file(name, size)
				got, sent := l.get(c, name)
				if sent.Err != nil || sent.Bytes != int64(size) || sent.Size != int64(size) || sent.Retransmits != 0 || sent.Timeouts != 0 {
					t.Errorf("size %d, %+v: server says %+v", size, c, sent)
				}
				if c.AskSize && got.Size != int64(len(data)) {
					t.Errorf("size %d: tsize is %d", size, got.Size)
				}
			}
		}
	})
}

// Block numbers are 16 bits: files of more than 65,535 blocks go on with 0.
func TestRollover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{})
		defer l.close()
		l.net.loss = 0.0005
		l.file("big", 8*(65536+100)+3)
		for _, window := range []int{0, 64} {
			if _, sent := l.get(tftp.Client{BlockSize: 8, WindowSize: window, Resend: 100 * time.Millisecond}, "big"); sent.Err != nil {
				t.Errorf("window %d: %+v", window, sent)
			}
		}
	})
}

// On a bad network everything still arrives, and losses cost round trips and
// not seconds.
func TestLossDelayReorder(t *testing.T) {
	tests := []struct {
		name          string
		loss          float64
		delay, jitter time.Duration
		client        tftp.Client
		within        time.Duration // for 1 MB
	}{
		{"clean", 0, time.Millisecond, 0, tftp.Client{BlockSize: 1428, WindowSize: 16}, 150 * time.Millisecond},
		{"clean-no-window", 0, time.Millisecond, 0, tftp.Client{BlockSize: 1428}, 2 * time.Second},
		{"one-percent", 0.01, time.Millisecond, 0, tftp.Client{BlockSize: 1428, WindowSize: 16}, 2 * time.Second},
		{"one-percent-64", 0.01, time.Millisecond, 0, tftp.Client{BlockSize: 1428, WindowSize: 64}, time.Second},
		{"one-percent-no-window", 0.01, time.Millisecond, 0, tftp.Client{BlockSize: 1428}, 6 * time.Second},
		{"ten-percent", 0.10, time.Millisecond, 0, tftp.Client{BlockSize: 1428, WindowSize: 16}, 15 * time.Second},
		{"reorder", 0, time.Millisecond, time.Millisecond, tftp.Client{BlockSize: 1428, WindowSize: 16}, 10 * time.Second},
		{"far", 0.01, 100 * time.Millisecond, 10 * time.Millisecond, tftp.Client{BlockSize: 1428, WindowSize: 16}, 100 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, tftp.Config{})
				defer l.close()
				l.net.loss, l.net.delay, l.net.jitter = tt.loss, tt.delay, tt.jitter
				l.file("f", 1_000_000)
				got, sent := l.get(tt.client, "f")
				// The client's time: when the very last acknowledgement is lost, it has the file and the server waits in vain.
				took := got.Duration
				t.Logf("%v, %d packets, %d again, %d timeouts, rtt %v, err %v", took, sent.Packets, sent.Retransmits, sent.Timeouts, sent.RTT, sent.Err)
				if took > tt.within {
					t.Errorf("took %v, want at most %v", took, tt.within)
				}
			})
		})
	}
}

// A duplicated acknowledgement must not double the traffic for the rest of the
// file (the sorcerer's apprentice syndrome).
func TestSorcerersApprentice(t *testing.T) {
	for _, window := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, tftp.Config{})
				defer l.close()
				l.net.delay = time.Millisecond
				// One window is held back so long that it is sent twice.
				var slow bool
				l.net.drop = func(from, to netip.AddrPort, p []byte) bool {
					if p[1] == 4 && p[3] == 32 && !slow {
						slow = true
						late := slices.Clone(p)
						time.AfterFunc(200*time.Millisecond, func() { l.net.send(from, to, late) })
						return true
					}
					return false
				}
				l.file("f", 500*512)
				_, sent := l.get(tftp.Client{WindowSize: window, Resend: 5 * time.Second}, "f")
				if sent.Retransmits > int64(4*window) {
					t.Errorf("%d packets sent again after one delayed acknowledgement", sent.Retransmits)
				}
			})
		})
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		err  error
		code tftp.Code
		is   error
	}{
		{fs.ErrNotExist, tftp.CodeNotFound, fs.ErrNotExist},
		{&fs.PathError{Op: "open", Path: "/secret/path", Err: fs.ErrPermission}, tftp.CodeAccess, fs.ErrPermission},
		{&tftp.Error{Code: tftp.CodeNoSuchUser, Message: "who?"}, tftp.CodeNoSuchUser, nil},
		{errors.New("disk on fire at /secret/path"), tftp.CodeUndefined, nil},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			own := make(chan tftp.Transfer, 1) // of the file, in the place of the server's
			l := newLab(t, tftp.Config{Handler: tftp.HandlerFunc(func(context.Context, *tftp.Request) (tftp.File, error) {
				return tftp.File{Events: func(x tftp.Transfer) { own <- x }}, tt.err
			})})
			defer l.close()
			_, err := tftp.Client{}.GetFrom(t.Context(), l.client, l.server.LocalAddr(), "x", new(bytes.Buffer))
			var e *tftp.Error
			if !errors.As(err, &e) || e.Code != tt.code || !e.Remote || strings.Contains(e.Message, "secret") {
				t.Errorf("%v reached the client as %v", tt.err, err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if x := <-own; x.Err != tt.err || len(l.transfers) != 0 {
				t.Errorf("event %+v, and %d of the server's", x, len(l.transfers))
			}
		})
	}
}

// UEFI reads each file twice: first only for its size.
func TestSizeProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{})
		defer l.close()
		l.file("f", 12345)
		n, err := tftp.Client{BlockSize: 1468, WindowSize: 4}.Size(t.Context(), l.client, l.server.LocalAddr(), "f")
		if n != 12345 || err != nil {
			t.Errorf("size %d, %v", n, err)
		}
		if x := <-l.transfers; !errors.Is(x.Err, tftp.ErrAborted) {
			t.Errorf("event %+v", x)
		}
		// A file of unknown size has no tsize, and the client is told so.
		_, err = tftp.Client{}.Size(t.Context(), l.client, l.server.LocalAddr(), "absent")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("size of an absent file: %v", err)
		}
	})
}

func TestClientVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{Silence: 10 * time.Second})
		defer l.close()
		l.file("f", 100_000)
		l.net.drop = func(from, _ netip.AddrPort, p []byte) bool { return p[1] == 4 && p[3] >= 16 }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := tftp.Client{WindowSize: 4}.GetFrom(ctx, l.client, l.server.LocalAddr(), "f", new(bytes.Buffer))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		l.client.Close()
		start := time.Now()
		x := <-l.transfers
		if took := time.Since(start); x.Err == nil || took > 16*time.Second {
			t.Errorf("after %v: %+v", took, x)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{})
		l.net.delay = 10 * time.Millisecond
		l.file("f", 1_000_000)
		time.AfterFunc(100*time.Millisecond, l.cancel)
		_, err := tftp.Client{}.GetFrom(t.Context(), l.client, l.server.LocalAddr(), "f", new(bytes.Buffer))
		if err == nil {
			t.Error("the transfer outlived its server")
		}
		if x := <-l.transfers; !errors.Is(x.Err, context.Canceled) {
			t.Errorf("event %+v", x)
		}
		l.close()
	})
}

// A request repeated because the answer was slow starts one transfer, and one
// repeated by a machine that was reset starts anew.
func TestRepeatedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Int32
		l := newLab(t, tftp.Config{Handler: tftp.HandlerFunc(func(context.Context, *tftp.Request) (tftp.File, error) {
			opened.Add(1)
			time.Sleep(250 * time.Millisecond)
			return tftp.String(strings.Repeat("x", 5000)), nil
		})})
		defer l.close()
		rrq := []byte("\x00\x01f\x00octet\x00")
		l.client.WriteTo(rrq, l.server.LocalAddr())
		time.Sleep(100 * time.Millisecond)
		l.client.WriteTo(rrq, l.server.LocalAddr())
		time.Sleep(200 * time.Millisecond)
		if opened.Load() != 1 {
			t.Errorf("%d transfers for one request sent twice", opened.Load())
		}
		l.client.WriteTo([]byte{0, 4, 0, 1}, l.server.LocalAddr())
		time.Sleep(10 * time.Millisecond)
		l.client.WriteTo(rrq, l.server.LocalAddr())
		time.Sleep(300 * time.Millisecond)
		if opened.Load() != 2 {
			t.Errorf("%d transfers after a reset", opened.Load())
		}
		l.client.WriteTo([]byte("\x00\x05\x00\x00bye\x00"), l.server.LocalAddr())
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{MaxPerClient: 1})
		defer l.close()
		l.file("f", 100)
		l.net.drop = func(_, to netip.AddrPort, p []byte) bool { return to.Port() == 3000 && p[1] == 3 }
		other := l.net.listen("192.0.2.2:3000")
		defer other.Close()
		other.WriteTo([]byte("\x00\x01f\x00octet\x00"), l.server.LocalAddr())
		time.Sleep(time.Second)
		l.client.WriteTo([]byte("\x00\x01f\x00octet\x00"), l.server.LocalAddr())
		// The first one, to which its client never replied, gives way.
		if x := <-l.transfers; !errors.Is(x.Err, tftp.ErrBusy) || x.Client.Port() != 3000 {
			t.Errorf("second transfer of a client: %+v", x)
		}
		l.client.WriteTo([]byte("\x00\x05\x00\x00bye\x00"), l.server.LocalAddr())
		<-l.transfers
		l.get(tftp.Client{}, "f")
	})
}

// Large files leave places to small ones.
func TestSmallFilesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{MaxTransfers: 4})
		defer l.close()
		l.file("small", 100)
		l.file("large", 2<<20)
		l.net.drop = func(_, to netip.AddrPort, p []byte) bool { return to.Port() >= 3000 && p[1] == 3 } // they hear nothing
		var slow []*memConn
		for i := range 4 {
			c := l.net.listen(fmt.Sprintf("192.0.2.%d:3000", 10+i))
			defer c.Close()
			slow = append(slow, c)
			c.WriteTo([]byte("\x00\x01large\x00octet\x00"), l.server.LocalAddr())
			time.Sleep(time.Millisecond)
			c.WriteTo([]byte{0, 4, 0, 1}, l.server.LocalAddr()) // or it would give way
			time.Sleep(time.Millisecond)
		}
		if x := <-l.transfers; !errors.Is(x.Err, tftp.ErrBusy) || x.Client.String() != "192.0.2.13:3000" {
			t.Errorf("the fourth large file: %+v", x)
		}
		l.get(tftp.Client{}, "small")
		slow[0].WriteTo([]byte("\x00\x05\x00\x00bye\x00"), l.server.LocalAddr())
		<-l.transfers
		l.get(tftp.Client{BlockSize: 1468, WindowSize: 16}, "large")
	})
}

func TestNetASCII(t *testing.T) {
	for _, text := range []string{"", "plain", "a\nb\n", "cr\rlf\r\n\n\r", strings.Repeat("line\n", 500), "\n\n\n\r"} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, tftp.Config{})
			defer l.close()
			l.files["f"] = &fstest.MapFile{Data: []byte(text)}
			l.get(tftp.Client{Mode: tftp.NetASCII, AskSize: true}, "f")
		})
	}
}
