package region

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"

	"github.com/gomaas/maas/ipam"
)

func TestConsoleTail(t *testing.T) {
	var long strings.Builder
	for i := range 100 {
		fmt.Fprintf(&long, "line %d%s\r\n", i, strings.Repeat(".", 300))
	}
	for printed, want := range map[string]string{
		"":                              "",
		"one\r\ntwo\n\n\r\n  three":     "one | two | three",
		"\x1b[2J\x1b[1;31mred\x1b[0m\n": "red",
		"\x1b7a\x1b(\n":                 "a",
		"bad \xff\xfe text\x00\x07\n":   "bad  text",
		"gr\xc3\xbc\xc3\x9fe\n":         "grüße",
	} {
		tail := &consoleTail{}
		for i := range len(printed) { // however it arrives
			tail.write([]byte{printed[i]})
		}
		if got := tail.take(); got != want {
			t.Errorf("%q: %q, want %q", printed, got, want)
		}
		if got := tail.take(); got != "" {
			t.Errorf("%q is taken twice: %q", printed, got)
		}
	}
	tail := &consoleTail{}
	tail.write([]byte(long.String()))
	if got := tail.take(); !strings.HasPrefix(got, "line 80.") || len(got) > tailLines*(tailWidth+3) {
		t.Errorf("%d octets: %.100s", len(got), got)
	}
}

// A boot that fails while a client is attached to the console takes its last lines along.
func TestFailedBootHasTheTail(t *testing.T) {
	r, _ := opened(t)
	m, err := r.inv.Machines.Create(t.Context(), inventory.Machine{
		Hostname: "node", Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: []byte{2, 0, 0, 0, 0, 1}, Kind: ipam.Physical}}},
	})
	ok(t, err)
	seq := uint64(0)
	boot := func(e pxe.Event) {
		t.Helper()
		seq++
		e.Time, e.MAC, e.Proto, e.Stage = time.Now(), []byte{2, 0, 0, 0, 0, 1}, "http", pxe.StageKernel
		ok(t, r.takeFacts(t.Context(), "rack", []rpc.Fact{factOf(t, seq, pxerpc.FactKind, e)}))
	}
	consoles := func() (out []string) {
		t.Helper()
		events, err := r.inv.Events.Last(t.Context(), m.ID, 100)
		ok(t, err)
		for _, e := range events {
			if e.Kind == "console" {
				out = append(out, e.Description)
			}
		}
		return out
	}
	boot(pxe.Event{Path: "/vmlinuz", Err: "the client has gone"}) // no client is attached
	tail := r.power.tails.begin(m.ID)
	tail.write([]byte("Booting\r\nKernel panic"))
	boot(pxe.Event{Path: "/vmlinuz"})
	if got := consoles(); len(got) != 0 {
		t.Errorf("recorded %q", got)
	}
	for range 3 { // firmware tries again
		boot(pxe.Event{Path: "/vmlinuz", Err: "the client has gone"})
	}
	r.power.tails.end(m.ID, tail)
	if got := consoles(); len(got) != 1 || got[0] != "Booting | Kernel panic" || len(r.power.tails.all) != 0 {
		t.Errorf("recorded %q", got)
	}
}
