package region

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/metadatarpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
)

// Networks of the racks honest and stolen.
var (
	honestNet = netip.MustParsePrefix("192.0.2.0/24")
	stolenNet = netip.MustParsePrefix("203.0.113.0/24")
)

// twoRacks is a region with two racks. The honest one serves machines, names and keys; the identity
// of the other was stolen.
func twoRacks(t *testing.T, dir string) *Region {
	t.Helper()
	r := openTwoRacks(t, dir)
	ctx, inv := t.Context(), r.inv
	for name, at := range map[string]string{"honest": "192.0.2.1/24", "stolen": "203.0.113.1/24"} {
		_, err := inv.RegisterRack(ctx, inventory.Rack{Name: name})
		ok(t, err)
		_, err = inv.Enrolment.Assign(ctx, name, func(r *inventory.Rack) error {
			r.Networks = []netip.Prefix{netip.MustParsePrefix(at).Masked()}
			return nil
		})
		ok(t, err)
		_, err = inv.RegisterLinks(ctx, inventory.Registration{
			Rack: name, Serve: []string{"eth0"}, Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix(at)}}},
		})
		ok(t, err)
	}
	s, err := inv.SubnetFor(ctx, honestNet.Addr().Next())
	ok(t, err)
	for i := range byte(4) {
		m, err := inv.Machines.Create(ctx, inventory.Machine{
			Hostname: fmt.Sprint("db-", i), Status: inventory.StatusReady, Profile: &pxe.Profile{Name: "own", Kind: pxe.Linux, Kernel: "vmlinuz", Cmdline: "secret=hush"},
			Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: hw(i), Kind: ipam.Physical, Enabled: true, VLANID: s.VLANID}}},
		})
		ok(t, err)
		if i == 0 {
			_, err := inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: s.ID})
			ok(t, err)
		}
	}
	_, err = inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "updates"})
	ok(t, err)
	_, err = inv.Domains.Create(ctx, inventory.Domain{Name: "prod.example", Signed: true, Racks: []string{"honest"}, AllowUpdate: []inventory.UpdateGrant{{Key: "updates", Name: "@"}}})
	ok(t, err)
	ok(t, r.takeFacts(ctx, "honest", []rpc.Fact{outboxFact("honest", 1, dhcprpc.FactKind, time.Now(), leaseFact("granted", "192.0.2.200", 1))}))
	return r
}

func openTwoRacks(t *testing.T, dir string) *Region {
	t.Helper()
	r, err := Open(t.Context(), Config{
		Files: map[string]fs.FS{".": fstest.MapFS{"vmlinuz": {Data: []byte("kernel")}}},
		Dir:   dir, Kinds: power.NewRegistry(power.Manual()), Advertise: []string{"192.0.2.1:5242"}, Log: slog.New(slog.DiscardHandler),
	})
	ok(t, err)
	return r
}

// outboxFact is factOf for another outbox and time.
func outboxFact(outbox string, seq uint64, kind string, at time.Time, v any) rpc.Fact {
	data, _ := json.Marshal(v) // of the types of facts, which always succeeds
	return rpc.Fact{Outbox: outbox, Seq: seq, Kind: kind, Time: at, Data: data}
}

// servedTo returns all that a rack is sent.
func servedTo(t *testing.T, r *Region, rack string) map[string]string {
	out := map[string]string{}
	for _, topic := range []string{dnsrpc.Topic, dhcprpc.Topic, pxerpc.Topic, metadatarpc.Topic, proxyrpc.Topic, discoveryrpc.Topic, register.Topic} {
		u, err := r.rpc.State(rack).Next(t.Context(), topic, rpc.Position{})
		ok(t, err)
		for _, o := range u.Objects {
			out[topic+" "+o.Key] = string(o.Value)
		}
	}
	return out
}

// thief draws what the holder of a stolen identity says to a region.
type thief struct {
	*rapid.T
	seq uint64
}

func (d *thief) mac() net.HardwareAddr { return hw(byte(rapid.IntRange(0, 9).Draw(d.T, "mac"))) }

func (d *thief) addr() netip.Addr {
	return rapid.SampledFrom([]netip.Addr{
		netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("192.0.2.250"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9"),
		netip.MustParseAddr("203.0.113.150"), netip.MustParseAddr("203.0.113.201"), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("fe80::1"), {},
	}).Draw(d.T, "addr")
}

func (d *thief) time() time.Time {
	return time.Now().Add(time.Duration(rapid.IntRange(-48, 24*400).Draw(d.T, "hours")) * time.Hour)
}

func (d *thief) registration() register.Request {
	in := register.Request{}
	for i := range rapid.IntRange(0, 4).Draw(d.T, "links") {
		text := rapid.SampledFrom([]string{
			"203.0.113.1/24", "203.0.113.1/16", "192.0.2.77/24", "192.0.2.77/32", "198.51.100.77/0", "64.0.0.1/3", "198.51.100.1/24", "10.0.0.1/8",
			"151.101.2.132/32", "2001:db8::1/64", "fe80::9/64", "192.0.2.1/24",
		}).Draw(d.T, "link")
		in.Links = append(in.Links, register.Link{Name: fmt.Sprint("eth", i), Addrs: []netip.Prefix{netip.MustParsePrefix(text)}, Serve: rapid.Bool().Draw(d.T, "serve")})
	}
	return in
}

// fact is about any machine, address and time.
func (d *thief) fact() rpc.Fact {
	d.seq++
	at := d.time()
	switch rapid.IntRange(0, 2).Draw(d.T, "kind") {
	case 0:
		lease := leaseFact(rapid.SampledFrom([]string{"granted", "renewed", "expired", "released", "declined"}).Draw(d.T, "event"), "192.0.2.1", 0)
		lease.Addr, lease.MAC, lease.End = d.addr(), d.mac().String(), at.Add(time.Hour)
		lease.Hostname = rapid.SampledFrom([]string{"db-0", "db-1", "wpad", "ns", "honest", "printer", ""}).Draw(d.T, "name")
		return outboxFact("stolen", d.seq, dhcprpc.FactKind, at, lease)
	case 1:
		return outboxFact("stolen", d.seq, pxerpc.FactKind, at, pxe.Event{
			Time: at, Stage: rapid.SampledFrom([]pxe.Stage{pxe.StageConfig, pxe.StageKernel, pxe.StageRunning, pxe.StageOffer, pxe.StageConfigured}).Draw(d.T, "stage"), MAC: d.mac(),
			Addr: d.addr(), Server: d.addr(), Arch: firmware.ArchEFI64, Method: "uefi-amd64-pxe", Path: "x", Proto: "http", UUID: "forged",
		})
	}
	var mac discovery.MAC
	copy(mac[:], d.mac())
	e := discovery.Event{Kind: rapid.SampledFrom([]discovery.Kind{discovery.New, discovery.Moved, discovery.Conflict, discovery.ProxyARP}).Draw(d.T, "seen"), Device: discovery.Device{
		Interface: "eth0", Addr: d.addr(), MAC: mac, Sources: discovery.ARP, First: at, Last: at, Expires: at.Add(time.Hour),
	}}
	return outboxFact("stolen", d.seq, discoveryrpc.FactKind, at, discoveryrpc.FactOf(e))
}

// Nothing that a rack says changes what another rack is sent: networks, reservations, profiles,
// names, keys, rights. What it may add are names of its own clients, and unknown machines.
func TestAStolenRackChangesNothingForOthers(t *testing.T) {
	if os.Getenv("MAAS_TEST_REQUIRE") == "all" {
		ok(t, flag.Set("rapid.checks", "300"))
		defer func() { ok(t, flag.Set("rapid.checks", "100")) }()
	}
	dir := t.TempDir()
	template := filepath.Join(dir, "template") // made once: a copy takes a tenth of the time
	ok(t, twoRacks(t, template).Close())
	sites := 0
	rapid.Check(t, func(d *rapid.T) {
		sites++
		copied := filepath.Join(dir, fmt.Sprint(sites))
		ok(t, os.CopyFS(copied, os.DirFS(template)))
		ok(t, os.Chmod(filepath.Join(copied, KeyFile), 0o600))
		defer os.RemoveAll(copied)
		r := openTwoRacks(t, copied)
		defer r.Close()
		ok(t, r.publish(t.Context()))
		before := servedTo(t, r, "honest")
		for key, value := range servedTo(t, r, "stolen") {
			for _, secret := range []string{"hush", "signing_key\":\"", "prod.example/A"} {
				if strings.Contains(key+value, secret) {
					d.Errorf("the stolen rack is sent %s, which has %s", key, secret)
				}
			}
		}
		conn, err := r.Dial("stolen")(t.Context())
		ok(t, err)
		th := &thief{T: d}
		for range rapid.IntRange(1, 6).Draw(d, "steps") {
			if rapid.IntRange(0, 3).Draw(d, "step") == 0 {
				_, _ = rpc.Do[register.Answer](t.Context(), conn, register.Method, th.registration())
				continue
			}
			var facts []rpc.Fact
			for range rapid.IntRange(1, 8).Draw(d, "facts") {
				facts = append(facts, th.fact())
			}
			if err := conn.Deliver(context.Background(), facts); err != nil {
				d.Fatalf("facts are held up: %v", err)
			}
		}
		ok(t, r.publish(t.Context()))
		differ(d, before, servedTo(t, r, "honest"))
	})
	t.Logf("%d sites", sites)
}

// differ reports what the honest rack was not to be sent.
func differ(d *rapid.T, before, after map[string]string) {
	for _, objects := range []map[string]string{before, after} {
		for key := range objects {
			was, now := withoutTheirs(before[key]), withoutTheirs(after[key])
			mac, isMachine := strings.CutPrefix(strings.ReplaceAll(key, "-", ":"), "boot mac/")
			if !isMachine {
				mac, isMachine = strings.CutPrefix(key, "dhcp reservation/")
			}
			switch {
			case was == now:
			case strings.HasSuffix(key, ".113.0.203.in-addr.arpa/PTR"): // a name in their own zone
			case was == "" && isMachine && mac >= "02:00:00:00:00:04": // an unknown machine
			default:
				d.Errorf("%s changed\nfrom %s\nto   %s", key, was, now)
			}
		}
	}
}

// withoutTheirs returns an object without the addresses in the stolen rack's network, which that may
// change; empty if it has no others.
func withoutTheirs(object string) string {
	var v map[string]any
	if json.Unmarshal([]byte(object), &v) != nil {
		return object
	}
	for field, value := range v {
		list, ok := value.([]any)
		if !ok {
			continue
		}
		kept := slices.DeleteFunc(list, func(e any) bool {
			text, _, _ := strings.Cut(fmt.Sprint(e), "/")
			a, err := netip.ParseAddr(text)
			return err == nil && stolenNet.Contains(a)
		})
		if v[field] = kept; field == "data" && len(kept) == 0 {
			return ""
		}
	}
	out, _ := json.Marshal(v)
	return string(out)
}

// A rack's clock that is ahead does not make its facts outlive those of others; one that is behind,
// or a rack that was cut off, tells of the past.
func TestTimesOfFacts(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for ahead, want := range map[time.Duration]time.Duration{
		0: 0, -48 * time.Hour: -48 * time.Hour, 4 * time.Minute: 4 * time.Minute, 5 * time.Minute: 5 * time.Minute,
		5*time.Minute + 1: 0, 365 * 24 * time.Hour: 0,
	} {
		if got := stamped(now.Add(ahead), now).Sub(now); got != want {
			t.Errorf("%v ahead: %v, want %v", ahead, got, want)
		}
	}
}

// What a rack was given since the last publication counts at once.
func TestFactsOfANetworkThatWasJustAccepted(t *testing.T) {
	r := twoRacks(t, t.TempDir())
	defer r.Close()
	ok(t, r.publish(t.Context()))
	ctx, n := t.Context(), uint64(0)
	report := func() bool {
		n++
		ok(t, r.takeFacts(ctx, "stolen", []rpc.Fact{outboxFact("box", n, dhcprpc.FactKind, time.Now(), leaseFact("granted", "192.0.2.222", 9))}))
		return leased(t, r)["192.0.2.222"]
	}
	if report() {
		t.Fatal("a lease of another network is recorded")
	}
	s, err := r.inv.SubnetFor(ctx, honestNet.Addr().Next())
	ok(t, err)
	v, err := r.inv.VLANs.Get(ctx, s.VLANID)
	ok(t, err)
	v.SecondaryRack = "stolen"
	_, err = r.inv.VLANs.Update(ctx, v)
	ok(t, err)
	if !report() {
		t.Error("a lease of a network that the rack was given is not recorded")
	}
}
