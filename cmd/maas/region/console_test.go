package region_test

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powersim"
)

// A client attaches to the console of a machine through the API and the rack that reaches the BMC;
// the audit has the attachment, and the events of the machine the last lines.
func TestConsoleByTheRack(t *testing.T) {
	bmc, err := powersim.ServeIPMI(&powersim.Chassis{}, "admin", "secret")
	ok(t, err)
	defer bmc.Close()
	socket := filepath.Join(t.TempDir(), "maas.sock")
	local, err := net.Listen("unix", socket)
	ok(t, err)
	r := runningOn(t, region.Config{Dir: t.TempDir(), Kinds: power.NewRegistry(ipmi.Kind()), RackWait: time.Minute}, region.Sockets{Local: local})
	driveBMCs(t, r)
	m := machineOf(t, r, bmc, "node", "secret", 1)
	site := client.Client{Socket: socket}

	console, err := site.Console(t.Context(), "node", false)
	ok(t, err)
	_, err = io.WriteString(console, "hello\r\nworld")
	ok(t, err)
	var shown strings.Builder
	buf := make([]byte, 100)
	for !strings.Contains(shown.String(), "world") {
		n, err := console.Read(buf)
		ok(t, err)
		shown.Write(buf[:n])
	}
	ok(t, console.Close())
	if _, err := io.ReadAll(console); err != nil {
		t.Errorf("after the end: %v", err)
	}
	// The site has ended the console when the answer has ended.
	events, err := r.Inventory().Events.Last(t.Context(), m.ID, 1)
	ok(t, err)
	if len(events) != 1 || events[0].Kind != "console" || !strings.HasSuffix(events[0].Description, "hello | world") {
		t.Errorf("events %+v", events)
	}
	audit, err := r.Inventory().Audit.Last(t.Context(), m.ID, 2)
	ok(t, err)
	if len(audit) != 2 || audit[0].Description != "console of node.maas opened" || !strings.HasPrefix(audit[1].Description, "console of node.maas detached after") {
		t.Errorf("audit %+v", audit)
	}

	for name, want := range map[string]string{"none": "does not exist", "bare": "has no power type", "wrong": "password"} {
		if name != "none" {
			bad := machineOf(t, r, bmc, name, "other", byte(len(name)))
			if name == "bare" {
				bad.Power.Type, bad.Power.Params, bad.Power.Secrets = "", nil, nil
				_, err := r.Inventory().Machines.Update(t.Context(), bad)
				ok(t, err)
			}
		}
		if _, err := site.Console(t.Context(), name, false); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
