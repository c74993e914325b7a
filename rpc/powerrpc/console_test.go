package powerrpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
)

// terminal is a power control with a console; the test has its other end.
type terminal struct{ ends chan net.Conn }

func (terminal) PowerState(context.Context) (power.State, error) { return power.On, nil }
func (terminal) SetPower(context.Context, power.State) error     { return nil }
func (t terminal) Console(_ context.Context, steal bool) (io.ReadWriteCloser, error) {
	if steal {
		return nil, power.Errorf(power.Auth, "open the console", "the user may not")
	}
	near, far := net.Pipe()
	t.ends <- far
	return near, nil
}

// offered returns a rack's methods, its consoles, and the other ends of them.
func offered(t *testing.T) (*rpc.Methods, *powerrpc.Consoles, chan net.Conn, powerrpc.ConsoleRequest) {
	t.Helper()
	ends := make(chan net.Conn, 100)
	kind := power.Kind{Name: "terminal", Open: func(context.Context, power.Params) (power.Driver, error) { return terminal{ends}, nil }}
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(kind, power.Manual())})
	if err != nil {
		t.Fatal(err)
	}
	methods := new(rpc.Methods)
	consoles := powerrpc.OfferConsoles(methods, c)
	return methods, consoles, ends, powerrpc.ConsoleRequest{Target: power.Target{Kind: "terminal", Name: "m"}}
}

// What is typed arrives at the machine, what it prints at the region, and both ends end it.
func TestConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		methods, consoles, ends, request := offered(t)
		for _, ends1 := range []string{"the region", "the machine", "the rack"} {
			console, err := powerrpc.Console(t.Context(), methods, request)
			if err != nil {
				t.Fatal(err)
			}
			machine := <-ends
			buf := make([]byte, 200<<10)
			for _, text := range []string{"ls\r", strings.Repeat("x", 3000)} {
				go func() { _, _ = io.WriteString(console, text) }()
				if n, err := io.ReadFull(machine, buf[:len(text)]); string(buf[:n]) != text || err != nil {
					t.Errorf("typed %q: %q, %v", text, buf[:n], err)
				}
			}
			// More than the rack keeps, after a silence that is longer than a read waits.
			want := strings.Repeat("0123456789abcdef", 10<<10)
			go func() {
				time.Sleep(3 * time.Minute)
				_, _ = io.WriteString(machine, want)
				if ends1 == "the machine" {
					machine.Close()
				}
			}()
			if n, err := io.ReadFull(console, buf[:len(want)]); string(buf[:n]) != want || err != nil {
				t.Errorf("printed %d octets, %v", n, err)
			}
			if ends1 == "the rack" {
				go func() { _ = consoles.Close() }()
			}
			if ends1 != "the region" {
				_, err := console.Read(buf)
				if ended := errors.Is(err, io.EOF); ended != (ends1 == "the machine") || err == nil {
					t.Errorf("%s ended it: %v", ends1, err)
				}
			}
			if err := console.Close(); err != nil && ends1 == "the region" {
				t.Error(err)
			}
			if _, err := console.Read(buf); !errors.Is(err, io.EOF) {
				t.Errorf("a read after the end: %v", err)
			}
			if _, err := machine.Read(buf); err == nil {
				t.Errorf("%s ended it, and the BMC still has it", ends1)
			}
			synctest.Wait()
		}
	})
}

// A region that stops leaves no console behind, a region that is slow holds the machine up, and a
// rack has a bounded number of consoles.
func TestConsolesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		methods, consoles, ends, request := offered(t)
		var machines []net.Conn
		for {
			_, err := powerrpc.Console(t.Context(), methods, request)
			if err != nil {
				if power.ClassOf(err) != power.ActionFailed || !strings.Contains(err.Error(), "which is the most") {
					t.Error(err)
				}
				break
			}
			machines = append(machines, <-ends)
		}
		if len(machines) != 32 {
			t.Errorf("%d consoles", len(machines))
		}
		var taken atomic.Int64
		go func() { // nothing reads it
			for {
				n, err := machines[0].Write(make([]byte, 1<<10))
				if taken.Add(int64(n)); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if n := taken.Load(); n < 60<<10 || n > 80<<10 {
			t.Errorf("the rack took %d octets", n)
		}
		time.Sleep(2 * time.Minute)
		for i, machine := range machines {
			if _, err := machine.Read(make([]byte, 1)); err == nil {
				t.Errorf("console %d is still open", i)
			}
		}
		if console, err := powerrpc.Console(t.Context(), methods, request); err != nil {
			t.Errorf("the places are not free again: %v", err)
		} else {
			console.Close()
		}
		if err := consoles.Close(); err != nil {
			t.Error(err)
		}
		if _, err := powerrpc.Console(t.Context(), methods, request); err == nil {
			t.Error("a rack that stops opened a console")
		}
	})
}

// Refusals keep their class.
func TestConsoleRefusals(t *testing.T) {
	methods, _, _, request := offered(t)
	taken := request
	taken.Steal = true
	for name, tt := range map[string]struct {
		caller  rpc.Caller
		request powerrpc.ConsoleRequest
		class   power.Class
	}{
		"refused":    {methods, taken, power.Auth},
		"no console": {methods, powerrpc.ConsoleRequest{Target: power.Target{Kind: "manual"}}, power.Unsupported},
		"no kind":    {methods, powerrpc.ConsoleRequest{Target: power.Target{Kind: "none"}}, power.Settings},
		"no rack":    {rpc.NewRegion(rpc.RegionConfig{}).Rack("r"), request, power.Connection},
		"old rack":   {new(rpc.Methods), request, power.Connection},
	} {
		if _, err := powerrpc.Console(t.Context(), tt.caller, tt.request); power.ClassOf(err) != tt.class {
			t.Errorf("%s: %v of class %q", name, err, power.ClassOf(err))
		}
	}
}
