package power_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/power/powersim"
)

// expect reads until a text arrived.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	var got bytes.Buffer
	b := make([]byte, 100)
	for !strings.Contains(got.String(), want) {
		n, err := r.Read(b)
		got.Write(b[:n])
		if err != nil {
			t.Fatalf("%v after %q, want %q", err, got.String(), want)
		}
	}
}

// A console repeats what is typed, other requests go on beside it, and it can be opened again after
// its end.
func TestConsoles(t *testing.T) {
	c, err := power.NewController(power.Config{Registry: kinds.All(), Poll: 10 * time.Millisecond, Spacing: -1})
	if err != nil {
		t.Fatal(err)
	}
	serveIPMI := func(chassis *powersim.Chassis, user, password string) (*powersim.BMC, error) {
		bmc, err := powersim.ServeIPMI(chassis, user, password)
		bmc.Target().Params["privilege_level"] = "ADMIN"
		return bmc, err
	}
	for name, serve := range map[string]func(*powersim.Chassis, string, string) (*powersim.BMC, error){"ipmi": serveIPMI, "ssh": powersim.ServeSSH} {
		t.Run(name, func(t *testing.T) {
			bmc, err := serve(&powersim.Chassis{}, "admin", "secret")
			if err != nil {
				t.Fatal(err)
			}
			defer bmc.Close()
			for range 3 {
				console, err := c.Console(t.Context(), bmc.Target(), false)
				if err != nil {
					t.Fatal(err)
				}
				long := strings.Repeat("a long line of text; ", 50)
				if _, err := io.WriteString(console, long+"end\n"); err != nil {
					t.Fatal(err)
				}
				expect(t, console, long+"end")
				if state, err := c.Query(t.Context(), bmc.Target()); err != nil || state != power.Off {
					t.Errorf("beside the console: %s, %v", state, err)
				}
				read := make(chan error, 1)
				go func() {
					_, err := io.Copy(io.Discard, console)
					read <- err
				}()
				var closed sync.WaitGroup
				for range 2 {
					closed.Go(func() {
						if err := console.Close(); err != nil {
							t.Errorf("close: %v", err)
						}
					})
				}
				closed.Wait()
				if err := <-read; err != nil {
					t.Errorf("read after the end: %v", err)
				}
			}
		})
	}
}

// A console that another client has is refused, and taken away on request.
func TestConsoleOfAnother(t *testing.T) {
	c, err := power.NewController(power.Config{Registry: kinds.All(), Spacing: -1})
	if err != nil {
		t.Fatal(err)
	}
	bmc, err := powersim.ServeIPMI(&powersim.Chassis{}, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	if _, err := c.Console(t.Context(), bmc.Target(), false); power.ClassOf(err) != power.Auth || !strings.Contains(err.Error(), "privilege_level=ADMIN") {
		t.Errorf("an operator: %v", err)
	}
	bmc.Target().Params["privilege_level"] = "ADMIN"
	first, err := c.Console(t.Context(), bmc.Target(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := c.Console(t.Context(), bmc.Target(), false); power.ClassOf(err) != power.ActionFailed || !strings.Contains(err.Error(), "another client") {
		t.Errorf("a second client: %v", err)
	}
	target := bmc.Target()
	target.Params = maps.Clone(target.Params)
	target.Params["power_driver"] = "LAN"
	if _, err := c.Console(t.Context(), target, false); power.ClassOf(err) != power.Unsupported {
		t.Errorf("IPMI 1.5: %v", err)
	}
	if _, err := c.Console(t.Context(), power.Target{Kind: "manual"}, false); power.ClassOf(err) != power.Unsupported {
		t.Errorf("manual: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Console(ctx, bmc.Target(), false); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}
