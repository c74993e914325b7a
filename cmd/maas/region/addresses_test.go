package region_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/store/inventory"
)

// lever is a kind of power control that always succeeds.
func lever() power.Kind {
	return power.Kind{Name: "lever", Title: "Lever", Open: func(context.Context, power.Params) (power.Driver, error) { return new(pulled), nil }}
}

type pulled struct{ state power.State }

func (l *pulled) PowerState(context.Context) (power.State, error) { return l.state, nil }

func (l *pulled) SetPower(_ context.Context, target power.State) error {
	l.state = target
	return nil
}

// deploying is a region with one machine that has an automatic link.
type deploying struct {
	t       *testing.T
	region  *region.Region
	machine inventory.Machine
	log     *bytes.Buffer
}

func newDeploying(t *testing.T, dir string) *deploying {
	t.Helper()
	d := &deploying{t: t, log: new(bytes.Buffer)}
	d.region = running(t, region.Config{Dir: dir, Kinds: power.NewRegistry(lever()), Log: slog.New(slog.NewTextHandler(d.log, nil))})
	inv := d.region.Inventory()
	subnets, err := inv.Subnets.List(t.Context())
	ok(t, err)
	d.machine, err = inv.Machines.Create(t.Context(), inventory.Machine{
		Hostname: "node1", Status: inventory.StatusReady, Power: inventory.Power{Type: "lever"},
		Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: macOf(1), Kind: ipam.Physical}}},
	})
	ok(t, err)
	ok(t, errOf(inv.LinkInterface(t.Context(), d.machine.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkAuto, SubnetID: subnets[0].ID})))
	return d
}

// op posts an operation on the machine and returns the status and the addresses of the answer.
func (d *deploying) op(op string) (code int, body string, addrs []string) {
	d.t.Helper()
	path := "/MAAS/api/2.0/machines/" + d.machine.SystemID + "/?op=" + op
	if op == "allocate" {
		path = "/MAAS/api/2.0/machines/?op=allocate"
	}
	r := httptest.NewRequest("POST", path, strings.NewReader(url.Values{}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	d.region.Local().ServeHTTP(w, r)
	var answer struct {
		Addrs []string `json:"ip_addresses"`
	}
	if w.Code == 200 {
		ok(d.t, json.Unmarshal(w.Body.Bytes(), &answer))
	}
	return w.Code, w.Body.String(), answer.Addrs
}

// expect posts an operation after which the machine has these addresses.
func (d *deploying) expect(op string, want ...string) {
	d.t.Helper()
	if code, body, addrs := d.op(op); code != 200 || !slices.Equal(addrs, want) {
		d.t.Errorf("%s: %d, addresses %v, want %v: %s", op, code, addrs, want, body)
	}
}

// probed remembers what a prober was asked, and finds some addresses in use.
type probed struct {
	mu    sync.Mutex
	asked []string
	used  []string
}

func (p *probed) Probe(_ context.Context, link string, addr netip.Addr) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, link+" "+addr.String())
	return slices.Contains(p.used, addr.String()), nil
}

// runRack serves the rack of [running], which has an address on the subnet.
func runRack(t *testing.T, r *region.Region, dir string, prober dhcpsrv.Prober) {
	t.Helper()
	link := discovery.Interface{Name: "eth0", Up: true, Ethernet: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}
	servers, err := rack.New(rack.Config{
		Dir: dir, Dial: r.Dial("rack"), Prober: prober, Power: power.Config{Registry: power.NewRegistry(lever())},
		Files: fstest.MapFS{}, Loaders: fstest.MapFS{}, Links: func() ([]discovery.Interface, error) { return []discovery.Interface{link}, nil },
	})
	ok(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- servers.Serve(ctx, rack.Sockets{}) }()
	t.Cleanup(func() {
		stop()
		ok(t, errors.Join(<-done, servers.Close()))
	})
}

// An automatic address is assigned when an allocated machine is switched on, after the rack has
// probed it, and is free again after a release.
func TestAutomaticAddressIsProbedByARack(t *testing.T) {
	dir, rackDir := t.TempDir(), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := newDeploying(t, dir)
		network := &probed{used: []string{"192.0.2.254", "192.0.2.2"}}
		runRack(t, d.region, rackDir, network)

		d.expect("power_on") // ready, not allocated
		d.expect("allocate")
		if len(network.asked) != 0 {
			t.Errorf("probed %v before the deployment", network.asked)
		}
		d.expect("power_on", "192.0.2.3")
		if want := []string{"eth0 192.0.2.254", "eth0 192.0.2.2", "eth0 192.0.2.3"}; !slices.Equal(network.asked, want) {
			t.Errorf("probed %v, want %v", network.asked, want)
		}
		d.expect("power_on", "192.0.2.3")
		if len(network.asked) != 3 {
			t.Errorf("an assigned address was probed again: %v", network.asked)
		}
		d.expect("release")
	})
}

// A probe that no rack can do keeps no machine from its deployment.
func TestAddressIsAssignedWithoutAProbe(t *testing.T) {
	for name, test := range map[string]struct {
		probe func(context.Context, netip.Addr) (dhcprpc.Probed, error) // nil = the rack offers none
		gone  bool
		log   string
	}{
		"rack not connected": {gone: true, log: "no rack with an address in the subnet is connected"},
		"rack without probe": {log: "unknown method"},
		"probe fails": {probe: func(context.Context, netip.Addr) (dhcprpc.Probed, error) {
			return dhcprpc.Probed{InUse: true}, errors.New("operation not permitted")
		}, log: "operation not permitted"},
		"rack hangs": {probe: func(ctx context.Context, _ netip.Addr) (dhcprpc.Probed, error) {
			<-ctx.Done()
			return dhcprpc.Probed{InUse: true}, ctx.Err()
		}, log: "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				d := newDeploying(t, dir)
				attachRack(t, d.region, test.probe, test.gone)
				d.expect("allocate")
				code, _, _ := d.op("power_on")
				if want := map[bool]int{false: 200, true: 503}[test.gone]; code != want {
					t.Errorf("power_on: %d, want %d", code, want)
				}
				m, err := d.region.Inventory().Machines.Get(t.Context(), d.machine.ID)
				ok(t, err)
				if got := m.Addrs(); !slices.Equal(got, []netip.Addr{netip.MustParseAddr("192.0.2.254")}) {
					t.Errorf("assigned %v", got)
				}
				if text := d.log.String(); !strings.Contains(text, "address assigned without a probe") || !strings.Contains(text, test.log) {
					t.Errorf("log:\n%s", text)
				}
			})
		})
	}
}

// attachRack connects a rack with power and a probe, unless it is gone.
func attachRack(t *testing.T, r *region.Region, probe func(context.Context, netip.Addr) (dhcprpc.Probed, error), gone bool) {
	t.Helper()
	if gone {
		return
	}
	methods := new(rpc.Methods)
	controller, err := power.NewController(power.Config{Registry: power.NewRegistry(lever())})
	ok(t, err)
	powerrpc.Offer(methods, controller)
	if probe != nil {
		dhcprpc.OfferProbe(methods, probe)
	}
	t.Cleanup(r.RPC().Attach("rack", methods))
}

// An answer of the machine itself is no conflict: it had the address before.
func TestTheMachineItselfIsNoConflict(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := newDeploying(t, dir)
		attachRack(t, d.region, func(context.Context, netip.Addr) (dhcprpc.Probed, error) {
			return dhcprpc.Probed{InUse: true, Owner: macOf(1).String()}, nil
		}, false)
		d.expect("allocate")
		d.expect("power_on", "192.0.2.254")
	})
}

// Where each address answers, the machine stays off and holds none.
func TestMachineStaysOffWithoutAnAddress(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := newDeploying(t, dir)
		attachRack(t, d.region, func(context.Context, netip.Addr) (dhcprpc.Probed, error) { return dhcprpc.Probed{InUse: true}, nil }, false)
		d.expect("allocate")
		code, body, _ := d.op("power_on")
		if code == 200 || !strings.Contains(body, "look for a device that answers for all") {
			t.Errorf("%d %s", code, body)
		}
		m, err := d.region.Inventory().Machines.Get(t.Context(), d.machine.ID)
		ok(t, err)
		if len(m.Addrs()) != 0 {
			t.Errorf("the machine kept %v", m.Addrs())
		}
		log, err := d.region.Inventory().Events.Last(t.Context(), d.machine.ID, 2)
		ok(t, err)
		if len(log) != 1 || log[0].Level != "error" || !strings.HasPrefix(log[0].Description, "on failed: assign the addresses of machine node1") {
			t.Errorf("events %+v", log)
		}
	})
}
