package region

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store"
)

// poison are facts of whatever a rack of another version, or a broken one, may send.
var poison = []struct{ kind, data string }{
	{dhcprpc.FactKind, `{"event":"granted","addr":"999.1.1.1","mac":"02:00:00:00:00:01"}`},
	{dhcprpc.FactKind, `{"event":"granted","addr":"192.0.2.100","mac":"02:00:00:00:00:01","end":"yesterday"}`},
	{dhcprpc.FactKind, `{"event":"granted","addr":"192.0.2.100","mac":"02:00:00:00:00:01","end":"99999-12-31T23:59:59Z"}`},
	{dhcprpc.FactKind, `{"event":"granted","addr":"192.0.2.100","mac":17}`},
	{dhcprpc.FactKind, `{"event":"granted","addr":"192.0.2.100","mac":"02:00:00:00:00:01","hostname":"\u0000\ud800"}`},
	{dhcprpc.FactKind, `[]`}, {dhcprpc.FactKind, `null`}, {dhcprpc.FactKind, ``}, {dhcprpc.FactKind, `{`}, {dhcprpc.FactKind, `"x"`},
	{pxerpc.FactKind, `{"stage":"config","mac":"not base64","addr":"192.0.2.9"}`},
	{pxerpc.FactKind, `{"stage":"config","mac":"AgAAAAAB","addr":"x","server":""}`},
	{pxerpc.FactKind, `{"stage":"config","mac":"AgAAAAAB","addr":"192.0.2.9","uuid":"\u0000"}`},
	{pxerpc.FactKind, `{"stage":"config","mac":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","addr":"192.0.2.9"}`},
	{pxerpc.FactKind, `{"stage":"\u0000","mac":"AgAAAAAB","arch":-1}`},
	{pxerpc.FactKind, `{"time":"0000-00-00T00:00:00Z"}`},
	{discoveryrpc.FactKind, `{"kind":"new","addr":"zz"}`},
	{discoveryrpc.FactKind, `{"kind":"new","mac":"zz"}`},
	{"of another version", `{`},
}

// Facts that cannot be applied hold up none that follow, in a batch of their own and among others.
func TestPoisonHoldsUpNothing(t *testing.T) {
	for i, p := range poison {
		t.Run(fmt.Sprint(i, " ", p.kind), func(t *testing.T) {
			r, _ := opened(t)
			bad := func(seq uint64) rpc.Fact {
				return rpc.Fact{Outbox: "box", Seq: seq, Kind: p.kind, Time: time.Now(), Data: []byte(p.data)}
			}
			batches := [][]rpc.Fact{
				{bad(1)},
				{factOf(t, 2, dhcprpc.FactKind, leaseFact("granted", "192.0.2.200", 10)), bad(3), factOf(t, 4, dhcprpc.FactKind, leaseFact("granted", "192.0.2.201", 11))},
			}
			for _, batch := range batches {
				ok(t, deliver(t, r, batch))
			}
			if got := leased(t, r); !got["192.0.2.200"] || !got["192.0.2.201"] {
				t.Errorf("leases beside %s: %v", p.data, got)
			}
		})
	}
}

// deliver delivers a batch as often as a rack does that is not told why it failed.
func deliver(t *testing.T, r *Region, batch []rpc.Fact) (err error) {
	for range oftenStuck {
		if err = r.takeFacts(t.Context(), "rack", batch); err == nil {
			return nil
		}
	}
	return err
}

// A fact that the schema refuses is set aside with an event, even if the engine ends the transaction for it, and its neighbors count.
func TestBrokenRulesTakeNoNeighborAlong(t *testing.T) {
	r, _ := opened(t)
	ctx := t.Context()
	one := factOf(t, 1, dhcprpc.FactKind, leaseFact("granted", "192.0.2.200", 10))
	ok(t, r.takeFacts(ctx, "rack", []rpc.Fact{one}))
	for _, err := range []error{&store.ConstraintError{Kind: store.Check}, &store.ConstraintError{Kind: store.ForeignKey}, &store.ConstraintError{Kind: store.Unique}} {
		if isRefusal(err) {
			t.Errorf("%v counts as a refusal, after which the transaction goes on", err)
		}
	}
	ok(t, r.inv.Atomically(ctx, func(ctx context.Context) error {
		return r.setAside(ctx, "rack", one, &store.ConstraintError{Kind: store.Check, Detail: "lease_end"})
	}))
	events, err := r.inv.Events.Last(ctx, 0, 10)
	ok(t, err)
	if !strings.Contains(fmt.Sprint(events), "was set aside: store: value not allowed (lease_end)") {
		t.Errorf("no event about it: %v", events)
	}
}

// A batch that fails for the database is sent again, and none of it is set aside, however often it fails.
func TestFailingDatabaseSetsNothingAside(t *testing.T) {
	r, log := opened(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 * oftenStuck {
		if err := r.takeFacts(ctx, "rack", []rpc.Fact{factOf(t, 1, dhcprpc.FactKind, leaseFact("granted", "192.0.2.200", 10))}); err == nil {
			t.Fatal("the facts were taken")
		}
	}
	if strings.Contains(log.text.String(), "fact refused") {
		t.Error("a fact was set aside because the database failed")
	}
	ok(t, r.takeFacts(t.Context(), "rack", []rpc.Fact{factOf(t, 1, dhcprpc.FactKind, leaseFact("granted", "192.0.2.200", 10))}))
}
