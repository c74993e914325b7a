package supervise

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// silent ignores failures, which tests see in the states.
func silent(error, time.Duration) {}

// closer counts how often it was closed.
type closer struct{ closed atomic.Int32 }

func (c *closer) Close() error { c.closed.Add(1); return nil }

// A server that fails is started again on a new socket, after pauses that grow, and its failure shows meanwhile.
func TestAFailedServerStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tasks Tasks
		ctx, stop := context.WithCancel(t.Context())
		first := &closer{}
		var opened []*closer
		var starts []time.Duration
		begin := time.Now()
		broken := true
		serving := OnSocket("dhcp", io.Closer(first), func(ctx context.Context, c io.Closer) error {
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
			tasks.Keep(ctx, serving, silent)
			close(done)
		}()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if _, failed := tasks.State("dhcp"); failed != "no such device" || first.closed.Load() != 0 {
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
		if running, failed := tasks.State("dhcp"); failed != "" || running != 1 || first.closed.Load() != 1 || opened[0].closed.Load() != 1 || opened[2].closed.Load() != 0 {
			t.Errorf("while it serves: failure %q, %d running, first closed %d times", failed, running, first.closed.Load())
		}
		stop()
		<-done
		if running, failed := tasks.State("dhcp"); failed != "" || running != 0 {
			t.Errorf("after the end: failed %q, %d running", failed, running)
		}
	})
}

// A server whose socket cannot be opened again stays dead with the reason, and a server that ends by itself has failed, too.
func TestAServerThatCannotStartStaysDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tasks Tasks
		ctx, stop := context.WithCancel(t.Context())
		serving := OnSocket("tftp", io.Closer(&closer{}), func(context.Context, io.Closer) error { return nil },
			func(context.Context) (io.Closer, error) { return nil, errors.New("port 69 is in use") })
		done := make(chan struct{})
		go func() {
			tasks.Keep(ctx, serving, silent)
			close(done)
		}()
		synctest.Wait()
		if _, failed := tasks.State("tftp"); failed != "it ended by itself" {
			t.Errorf("at first: %q", failed)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, failed := tasks.State("tftp"); failed != "port 69 is in use" {
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
		Insist(ctx, func(context.Context) error {
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

// A task that fails leaves the others alone, and only its own failure shows.
func TestOneFailureLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tasks Tasks
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		for name, err := range map[string]error{"dns": nil, "http": nil, "proxy": errors.New("too many open files")} {
			go func() {
				tasks.Keep(ctx, Task{Name: name, Run: func(ctx context.Context) error {
					if err == nil {
						<-ctx.Done()
					}
					return err
				}}, silent)
				done <- struct{}{}
			}()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if failed := tasks.Failed(); len(failed) != 1 || failed["proxy"] != "too many open files" {
			t.Errorf("failed: %v", failed)
		}
		for _, name := range []string{"dns", "http"} {
			if running, _ := tasks.State(name); running != 1 {
				t.Errorf("%s: %d running", name, running)
			}
		}
		stop()
		for range 3 {
			<-done
		}
	})
}

// Listeners open again at their own address; the socket of a command line stays the user's alone.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "maas.sock")
	for network, at := range map[string]string{"tcp": "127.0.0.1:0", "unix": path} {
		first, err := net.Listen(network, at)
		if err != nil {
			t.Fatal(err)
		}
		first.Close()
		again, err := Reopen(first)(t.Context())
		if err != nil || again.Addr().String() != first.Addr().String() {
			t.Fatalf("%s: %v, %v", network, again, err)
		}
		if network == "unix" {
			if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", st.Mode(), err)
			}
		}
		again.Close()
	}
	if _, err := Reopen(memory{})(t.Context()); err == nil {
		t.Error("a listener in memory was opened again")
	}
}

// memory is a listener that has no address of the host.
type memory struct{ net.Listener }

func (memory) Addr() net.Addr { return &net.IPNet{} }
