package rack_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
)

// stateFile holds the state that the region of the first version sent. It is never made again: a
// rack of today serves it, too. MAAS_RECORD_STATE names a file for the state of today's region, to
// keep beside it.
const stateFile = "testdata/state-1.json"

var (
	recordedMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 7}
	recordedAddr = "192.0.2.7"
)

// record writes down the state for the rack of a small site.
func record(t *testing.T, path string) {
	r := openRegion(t, t.TempDir())
	defer r.Close()
	inv, ctx := r.Inventory(), t.Context()
	m, _, err := inv.Enlist(ctx, inventory.Enlistment{MAC: recordedMAC, Hostname: "node7"})
	if err != nil {
		t.Fatal(err)
	}
	m.Profile = &pxe.Profile{Name: "own", Kind: pxe.Local}
	if m, err = inv.Machines.Update(ctx, m); err != nil {
		t.Fatal(err)
	}
	s, err := inv.SubnetFor(ctx, netip.MustParseAddr(recordedAddr))
	if err != nil {
		t.Fatal(err)
	}
	link := inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: s.ID, Addr: netip.MustParseAddr(recordedAddr)}
	if _, err := inv.LinkInterface(ctx, m.Interfaces[0].ID, link); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, region.Sockets{}) }()
	state := map[string]map[string][]byte{}
	for _, topic := range []string{register.Topic, dnsrpc.Topic, pxerpc.Topic, dhcprpc.Topic, proxyrpc.Topic, discoveryrpc.Topic} {
		u, err := r.RPC().State("rack").Next(ctx, topic, rpc.Position{})
		if err != nil {
			t.Fatal(err)
		}
		state[topic] = map[string][]byte{}
		for _, o := range u.Objects {
			state[topic][o.Key] = o.Value
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(state, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newer adds to each object a field that a later version may have.
func newer(t *testing.T, objects map[string][]byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for key, value := range objects {
		var fields map[string]json.RawMessage
		if json.Unmarshal(value, &fields) == nil && fields != nil {
			fields["of_a_later_version"] = json.RawMessage(`{"x":[1]}`)
			var err error
			if value, err = json.Marshal(fields); err != nil {
				t.Fatal(err)
			}
		}
		out[key] = value
	}
	return out
}

// A rack serves what a region of the first version says, and what a later one says with further fields and topics.
func TestStateOfOtherVersionsIsServed(t *testing.T) {
	if path := os.Getenv("MAAS_RECORD_STATE"); path != "" {
		record(t, path)
	}
	text, err := os.ReadFile(stateFile)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]map[string][]byte
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"first", "later"} {
		t.Run(version, func(t *testing.T) {
			old := rpc.NewRegion(rpc.RegionConfig{})
			for topic, objects := range state {
				if version == "later" {
					objects = newer(t, objects)
				}
				old.State("rack").Set(topic, objects)
			}
			old.State("rack").Set("of-a-later-version", map[string][]byte{"x": []byte("y")})
			r, err := rack.New(rack.Config{Dir: t.TempDir(), Dial: rpc.Loopback(old, "rack"), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.Serve(ctx, rack.Sockets{}) }()
			served(t, r, state)
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// served waits until a rack serves all of the recorded state.
func served(t *testing.T, r *rack.Rack, state map[string]map[string][]byte) {
	t.Helper()
	discover, err := dhcpv4.NewDiscovery(recordedMAC)
	if err != nil {
		t.Fatal(err)
	}
	q := new(dns.Msg)
	q.SetQuestion("node7.maas.", dns.TypeA)
	is := map[string]func() bool{
		"the address": func() bool {
			return r.DHCP().Explain(t.Context(), dhcpsrv.Packet{Data: discover.ToBytes(), Link: "boottest0"}).Addr.String() == recordedAddr
		},
		"the profile": func() bool {
			p, err := r.Profiles().Resolve(t.Context(), pxe.Request{MAC: recordedMAC})
			return err == nil && p.Name == "own"
		},
		"the name": func() bool {
			m := handled(t.Context(), r.DNS(), q, netip.MustParseAddr("192.0.2.9"))
			return len(m.Answer) == 1
		},
		"all topics": func() bool {
			for _, topic := range r.Report().Topics {
				if topic.Refused != "" {
					t.Fatalf("%s is refused: %s", topic.Name, topic.Refused)
				}
				if topic.Served == 0 && state[topic.Name] != nil { // the first version had fewer
					return false
				}
			}
			return true
		},
	}
	for what, ok := range is {
		for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is not served", what)
			}
		}
	}
}

// handled returns the answer of a DNS server to a message.
func handled(ctx context.Context, s *dnssrv.Server, q *dns.Msg, client netip.Addr) *dns.Msg {
	in, err := q.Pack()
	if err != nil {
		panic(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(s.Handle(ctx, in, client)); err != nil {
		panic(err)
	}
	return m
}
