package rack

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// closer counts how often it was closed.
type closer struct{ closed atomic.Int32 }

func (c *closer) Close() error { c.closed.Add(1); return nil }

// of returns the failure of a task, and how many of it run.
func (h *health) of(task string) (failed string, running int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed[task], h.running[task]
}

// A server that fails is started again on a new socket, after pauses that grow, and its failure shows meanwhile.
func TestAFailedServerStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Rack{log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		first := &closer{}
		var opened []*closer
		var starts []time.Duration
		begin := time.Now()
		broken := true
		serving := onSocket("dhcp", "", io.Closer(first), func(ctx context.Context, c io.Closer) error {
			starts = append(starts, time.Since(begin))
			if broken {
				return errors.New("no such device")
			}
			<-ctx.Done()
			return nil
		}, func(context.Context) (io.Closer, error) {
			if len(opened) == 2 {
				broken = false
			}
			next := &closer{}
			opened = append(opened, next)
			return next, nil
		})
		done := make(chan struct{})
		go func() {
			r.supervise(ctx, serving)
			close(done)
		}()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if failed, _ := r.health.of("dhcp"); failed != "no such device" || first.closed.Load() != 0 {
			t.Errorf("between the runs: failure %q, socket closed %d times", failed, first.closed.Load())
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := []time.Duration{0, 200 * time.Millisecond, 600 * time.Millisecond, 1400 * time.Millisecond}
		if len(starts) != len(want) {
			t.Fatalf("started at %v, want %v", starts, want)
		}
		for i := range want {
			if starts[i] != want[i] {
				t.Errorf("start %d at %v, want %v", i, starts[i], want[i])
			}
		}
		if failed, running := r.health.of("dhcp"); failed != "" || running != 1 || first.closed.Load() != 1 || opened[0].closed.Load() != 1 || opened[2].closed.Load() != 0 {
			t.Errorf("while it serves: failure %q, %d running, first closed %d times", failed, running, first.closed.Load())
		}
		stop()
		<-done
		if failed, running := r.health.of("dhcp"); failed != "" || running != 0 {
			t.Errorf("after the end: failed %q, %d running", failed, running)
		}
	})
}

// A server whose socket cannot be opened again stays dead with the reason, and a server that ends by itself has failed, too.
func TestAServerThatCannotStartStaysDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Rack{log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		serving := onSocket("tftp", "", io.Closer(&closer{}), func(context.Context, io.Closer) error { return nil },
			func(context.Context) (io.Closer, error) { return nil, errors.New("port 69 is in use") })
		done := make(chan struct{})
		go func() {
			r.supervise(ctx, serving)
			close(done)
		}()
		synctest.Wait()
		if failed, _ := r.health.of("tftp"); failed != "it ended by itself" {
			t.Errorf("at first: %q", failed)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if failed, _ := r.health.of("tftp"); failed != "port 69 is in use" {
			t.Errorf("later: %q", failed)
		}
		stop()
		<-done
	})
}

// After a minute of service a failure is a new one: its first pause is short again.
func TestPausesStartAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var pauses []time.Duration
		lives := []time.Duration{0, 0, 0, 2 * time.Minute, 0}
		insist(ctx, func(context.Context) error {
			life := lives[len(pauses)]
			time.Sleep(life)
			return io.ErrUnexpectedEOF
		}, func(_ error, pause time.Duration) {
			if pauses = append(pauses, pause); len(pauses) == len(lives) {
				stop()
			}
		})
		want := []time.Duration{200, 400, 800, 200, 400}
		for i, w := range want {
			if pauses[i] != w*time.Millisecond {
				t.Fatalf("pauses %v, want %v ms", pauses, want)
			}
		}
	})
}

// A socket opens again at its own address; one in memory cannot.
func TestReopen(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets.Close()
	streams.Close()
	conn, err := reopenPacket(packets)(t.Context())
	if err != nil || conn.LocalAddr().String() != packets.LocalAddr().String() {
		t.Fatalf("%v %v", conn, err)
	}
	conn.Close()
	ln, err := reopenStream(streams)(t.Context())
	if err != nil || ln.Addr().String() != streams.Addr().String() {
		t.Fatalf("%v %v", ln, err)
	}
	ln.Close()
	if _, err := again(nil, listenDHCPBoot)(t.Context()); err == nil {
		t.Error("without interfaces: no error")
	}
}
