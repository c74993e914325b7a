package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netspec"
)

// A value that was never filled in answers or refuses; it does not panic.
func TestZeroValuesDoNotPanic(t *testing.T) {
	var pool ipam.Pool
	var usage ipam.Usage
	var networks netspec.Networks
	a := netip.MustParseAddr("10.0.0.1")
	for name, err := range map[string]error{
		"NewPool":      func() error { _, err := ipam.NewPool(t.Context(), ipam.PoolConfig{}); return err }(),
		"Next":         func() error { _, err := pool.Next(t.Context(), "k"); return err }(),
		"For":          func() error { _, err := pool.For(t.Context(), "k"); return err }(),
		"NextN":        func() error { _, err := pool.NextN(t.Context(), 2, "k"); return err }(),
		"Take":         pool.Take(t.Context(), a, "k"),
		"Release":      pool.Release(t.Context(), a),
		"CheckRange":   usage.CheckRange(ipam.Range{}),
		"CheckAddress": usage.CheckAddress(a, nil, false),
		"Range":        ipam.Range{}.Validate(),
		"Subnet":       ipam.Subnet{}.Validate(),
	} {
		if err == nil {
			t.Errorf("%s: no error for a zero value", name)
		}
	}
	pool.Released(a, "k")
	if n := pool.Free(); n != 0 {
		t.Errorf("a pool of no subnet has %d free addresses", n)
	}
	_ = fmt.Sprint(ipam.Range{}, ipam.Use{}, ipam.Allocation{}, ipam.ReservedIP{}, ipam.StaticRoute{}, ipam.VLAN{}, ipam.Fabric{}, ipam.Interface{}, netspec.Spec{})
	_ = fmt.Sprint(&ipam.RefusedError{}, &ipam.InvalidError{}, &ipam.ExhaustedError{})
	if got := usage.Spans(); got != nil {
		t.Errorf("spans of no subnet: %v", got)
	}
	if got := usage.FreeForAuto(); got != nil && len(got.Ranges()) > 0 {
		t.Errorf("free addresses of no subnet: %v", got.Ranges())
	}
	_, _, _ = usage.Statistics(), usage.SuggestedGateway(), usage.SuggestedDynamicRange()
	_ = usage.Explain(a)
	if got := networks.FindSubnets(netspec.Spec{}); got != nil {
		t.Errorf("subnets of no site: %v", got)
	}
}

func TestRangeValidate(t *testing.T) {
	at := func(from, to string) ipam.Range {
		return ipam.Range{Start: netip.MustParseAddr(from), End: netip.MustParseAddr(to)}
	}
	for name, c := range map[string]struct {
		r    ipam.Range
		want ipam.Reason
	}{
		"one address": {at("10.0.0.2", "10.0.0.2"), 0},
		"in order":    {at("10.0.0.2", "10.0.0.9"), 0},
		"backwards":   {at("10.0.0.9", "10.0.0.2"), ipam.Backwards},
		"families":    {at("10.0.0.9", "2001:db8::1"), ipam.WrongFamily},
		"no end":      {ipam.Range{Start: netip.MustParseAddr("10.0.0.9")}, ipam.Incomplete},
		"nothing":     {ipam.Range{}, ipam.Incomplete},
	} {
		err := c.r.Validate()
		var refused *ipam.RefusedError
		if c.want == 0 && err != nil || c.want != 0 && (!errors.As(err, &refused) || refused.Reason != c.want) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = ipam.NewPool(t.Context(), ipam.PoolConfig{Usage: ipam.Usage{
			Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/28")}, Ranges: []ipam.Range{c.r},
		}})
		if (err == nil) != (c.want == 0) {
			t.Errorf("pool with %s: %v", name, err)
		}
	}
}
