package rack

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/failover"
)

// The first report waits for a partner that is away, but not after the rack was asked to stop.
func TestStoppingDoesNotWaitForAPartner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := dhcpsrv.New(dhcpsrv.Config{})
		if err != nil {
			t.Fatal(err)
		}
		err = server.Update(dhcpsrv.Snapshot{
			Partners: []failover.Partner{{Name: "other", Self: "this", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}},
			Subnets: []dhcpsrv.Subnet{{
				Name: "lan", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: netip.MustParseAddr("192.0.2.1"), Partner: "other",
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r := &Rack{dhcp: server}
		if !r.recovering() {
			t.Fatal("the server does not wait for its partner")
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			stop()
		}()
		start := time.Now()
		r.merged(ctx)
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %v, though asked to stop after 1s", took)
		}
	})
}
