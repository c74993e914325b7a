package region

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// opened is a region that serves nothing, with the rack "rack" on 192.0.2.0/24.
func opened(t *testing.T) (*Region, *logText) {
	t.Helper()
	return openedIn(t, t.TempDir())
}

// openedIn is opened in a directory, for tests whose bubble must not make it.
func openedIn(t *testing.T, dir string) (*Region, *logText) {
	t.Helper()
	log := new(logText)
	r, err := Open(t.Context(), Config{
		Dir: dir, Kinds: power.NewRegistry(power.Manual()), Advertise: []string{"192.0.2.1:5242"},
		Files: map[string]fs.FS{".": fstest.MapFS{"vmlinuz": {Data: []byte("kernel")}, "k": {Data: []byte("kernel")}}},
		Log:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	ok(t, err)
	t.Cleanup(func() { ok(t, r.Close()) })
	_, err = r.inv.Bootstrap(t.Context(), inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: netip.MustParsePrefix("192.0.2.1/24")})
	ok(t, err)
	return r, log
}

func hw(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, last} }

// factOf encodes a fact with the number seq of the outbox "box".
func factOf(t *testing.T, seq uint64, kind string, v any) rpc.Fact {
	t.Helper()
	data, err := json.Marshal(v)
	ok(t, err)
	return rpc.Fact{Outbox: "box", Seq: seq, Kind: kind, Time: time.Now(), Data: data}
}

func leaseFact(event, addr string, last byte) dhcprpc.Fact {
	return dhcprpc.Fact{Event: event, Addr: netip.MustParseAddr(addr), MAC: hw(last).String(), Hostname: "printer", Start: time.Now(), End: time.Now().Add(time.Hour)}
}

func leased(t *testing.T, r *Region) map[string]bool {
	t.Helper()
	all, err := r.inv.Allocations(t.Context(), 0)
	ok(t, err)
	out := map[string]bool{}
	for _, a := range all {
		if a.Expires.After(time.Now()) {
			out[a.Addr.String()] = true
		}
	}
	return out
}

// One batch has facts of all kinds. Facts that break a rule are logged, and those behind them count.
func TestFactsAreRecordedOneByOne(t *testing.T) {
	r, log := opened(t)
	config := pxe.Event{Time: time.Now(), Stage: pxe.StageConfig, MAC: hw(7), Arch: firmware.ArchEFI64, Method: "uefi-amd64-pxe", Path: "grub.cfg", Proto: "tftp", UUID: "ABC"}
	device := discovery.Device{
		Interface: "eth0", Addr: netip.MustParseAddr("192.0.2.77"), MAC: discovery.MAC{2, 0, 0, 0, 0, 9}, Sources: discovery.ARP,
		First: time.Now(), Last: time.Now(), Expires: time.Now().Add(time.Hour),
	}
	facts := []rpc.Fact{
		factOf(t, 1, dhcprpc.FactKind, leaseFact("granted", "192.0.2.200", 5)),
		factOf(t, 2, dhcprpc.FactKind, leaseFact("granted", "203.0.113.9", 5)), // in no subnet
		{Outbox: "box", Seq: 3, Kind: pxerpc.FactKind, Data: []byte("{")},
		{Outbox: "box", Seq: 4, Kind: "of a newer rack", Data: []byte("{}")},
		{Outbox: "box", Seq: 5, Kind: dhcprpc.FactKind, Data: []byte(`{"addr":"192.0.2.201"}`)}, // no link address
		factOf(t, 6, pxerpc.FactKind, config),
		factOf(t, 7, discoveryrpc.FactKind, discoveryrpc.FactOf(discovery.Event{Kind: discovery.New, Device: device})),
	}
	ok(t, r.takeFacts(t.Context(), "rack", facts))
	if got := leased(t, r); !got["192.0.2.200"] || len(got) != 1 {
		t.Errorf("leases %v", got)
	}
	m, err := r.inv.MachineByMAC(t.Context(), hw(7))
	ok(t, err)
	if m.Firmware != "uefi-amd64-pxe" || m.Architecture != "amd64/generic" || m.UUID != "abc" || m.Status != inventory.StatusNew {
		t.Errorf("enlisted %+v", m)
	}
	seen, err := r.inv.Discoveries.List(t.Context(), inventory.AllDiscoveries)
	ok(t, err)
	if len(seen) != 1 || seen[0].Rack != "rack" || seen[0].Addr != device.Addr {
		t.Errorf("seen %+v", seen)
	}
	for _, line := range []string{"msg=\"fact refused\" rack=rack kind=lease revision=2", "kind=boot revision=3", "machine enlisted"} {
		if !log.contains(line) {
			t.Errorf("no %q in the log:\n%s", line, log.text.String())
		}
	}
	if log.contains("revision=4") || log.contains("revision=5") {
		t.Errorf("facts that mean nothing here are refused:\n%s", log.text.String())
	}
}

// The clock of a rack may be wrong by hours. Its leases end when they end.
func TestLeasesOfARackWithAWrongClock(t *testing.T) {
	for _, ahead := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		r, _ := opened(t)
		l := leaseFact("granted", "192.0.2.200", 5)
		l.Start, l.End = l.Start.Add(ahead), l.End.Add(ahead)
		f := factOf(t, 1, dhcprpc.FactKind, l)
		f.Time, f.Behind = time.Now().Add(ahead), -ahead
		ok(t, r.takeFacts(t.Context(), "rack", []rpc.Fact{f}))
		all, err := r.inv.Leases.Find(t.Context(), inventory.LeaseFilter{Addr: l.Addr})
		ok(t, err)
		if len(all) != 1 || (time.Until(all[0].Expires)-time.Hour).Abs() > time.Minute || time.Since(all[0].Began).Abs() > time.Minute {
			t.Errorf("clock %v ahead: leases %+v", ahead, all)
		}
	}
}

// A rack repeats facts whose acknowledgment was lost; a rack with a new disk counts from one again.
func TestRepeatedFactsCountOnce(t *testing.T) {
	r, log := opened(t)
	ended := leaseFact("released", "192.0.2.200", 5)
	first := []rpc.Fact{factOf(t, 1, dhcprpc.FactKind, leaseFact("granted", "192.0.2.200", 5))}
	ok(t, r.takeFacts(t.Context(), "rack", first))
	ok(t, r.takeFacts(t.Context(), "rack", []rpc.Fact{factOf(t, 2, dhcprpc.FactKind, ended)}))
	ok(t, r.takeFacts(t.Context(), "rack", first))
	if got := leased(t, r); len(got) != 0 {
		t.Errorf("the repeated grant was taken: %v", got)
	}
	if !log.contains("repeated facts ignored") {
		t.Error("nothing was logged")
	}
	other := factOf(t, 1, dhcprpc.FactKind, leaseFact("granted", "192.0.2.200", 5))
	other.Outbox = "box of a new disk"
	ok(t, r.takeFacts(t.Context(), "rack", []rpc.Fact{other}))
	if got := leased(t, r); !got["192.0.2.200"] {
		t.Errorf("the fact of the new outbox was ignored: %v", got)
	}
}

// Without an answer of the database nothing is taken, so that the rack sends the facts again.
func TestFactsWaitForTheDatabase(t *testing.T) {
	r, log := opened(t)
	facts := []rpc.Fact{factOf(t, 1, dhcprpc.FactKind, leaseFact("granted", "192.0.2.200", 5))}
	rename(t, r, "allocation", "away")
	if err := r.takeFacts(t.Context(), "rack", facts); err == nil {
		t.Error("facts were acknowledged and lost")
	}
	if !log.contains("facts not recorded") {
		t.Error("nothing was logged")
	}
	rename(t, r, "away", "allocation")
	ok(t, r.takeFacts(t.Context(), "rack", facts))
	if got := leased(t, r); !got["192.0.2.200"] {
		t.Errorf("leases %v", got)
	}
}

func TestBootsOfUnknownMachinesAreNotLogged(t *testing.T) {
	r, _ := opened(t)
	for i, e := range []pxe.Event{
		{Stage: pxe.StageConfig},                            // no link address
		{Stage: pxe.StageConfig, MAC: hw(8), Probe: true},   // only the size
		{Stage: pxe.StageOffer, MAC: hw(8)},                 // may boot elsewhere
		{Stage: pxe.StageKernel, MAC: hw(8), Absent: true},  // a name that firmware tries
		{Stage: pxe.StageKernel, MAC: hw(8), Path: "other"}, // of a machine that is not enlisted
	} {
		e.Time = time.Now()
		ok(t, r.takeFacts(t.Context(), "rack", []rpc.Fact{factOf(t, uint64(i+1), pxerpc.FactKind, e)}))
	}
	machines, err := r.inv.Machines.List(t.Context())
	ok(t, err)
	log, err := r.inv.Events.Last(t.Context(), 0, 10)
	ok(t, err)
	if len(machines) != 0 || len(log) != 0 {
		t.Errorf("machines %v, events %+v", machines, log)
	}
}

// One address enlists a few machines, however many it makes up; an address that is another client's
// enlists none, and changes none. The bounds are per address, and each VLAN has a bound beside.
func TestStrangersEnlistFew(t *testing.T) {
	r, _ := opened(t)
	seq := uint64(0)
	boot := func(n int, e pxe.Event) {
		t.Helper()
		seq++
		e.Time, e.Stage, e.MAC, e.Proto = time.Now(), pxe.StageConfig, []byte{2, 9, 0, byte(n >> 16), byte(n >> 8), byte(n)}, "http"
		ok(t, r.takeFacts(t.Context(), "rack", []rpc.Fact{factOf(t, seq, pxerpc.FactKind, e)}))
	}
	count := func() int {
		t.Helper()
		all, err := r.inv.Machines.List(t.Context())
		ok(t, err)
		return len(all)
	}
	for n := range 300 {
		boot(n, pxe.Event{Addr: netip.MustParseAddr("192.0.2.66")})
	}
	if n := count(); n != enlistsOfOne.Burst {
		t.Errorf("one address made %d machines", n)
	}
	one := 0
	limit := newStrangers()
	for n := range 300 { // addresses of one host with IPv6
		if limit.take(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n+1))) {
			one++
		}
	}
	if one != enlistsOfOne.Burst {
		t.Errorf("one network of IPv6 may make %d machines", one)
	}
	before := count()
	boot(5000, pxe.Event{Addr: netip.MustParseAddr("192.0.2.67"), Claimed: true})
	boot(0, pxe.Event{Addr: netip.MustParseAddr("192.0.2.67"), Claimed: true, Arch: firmware.ArchBIOS, Method: "ipxe"})
	if n := count(); n != before {
		t.Errorf("a claim made %d machines", n-before)
	}
	if m, err := r.inv.MachineByMAC(t.Context(), []byte{2, 9, 0, 0, 0, 0}); err != nil || m.Firmware != "" {
		t.Errorf("a claim changed a machine: %q, %v", m.Firmware, err)
	}
	boot(5001, pxe.Event{Addr: netip.MustParseAddr("192.0.2.67")})
	if n := count(); n != before+1 {
		t.Error("an honest client beside them is not enlisted")
	}
	ok(t, r.inv.Settings.Set(t.Context(), setting.EnlistMax, "0"))
	boot(5002, pxe.Event{Addr: netip.MustParseAddr("192.0.2.68")})
	if n := count(); n != before+1 {
		t.Error("a machine was enlisted although none are to be")
	}
}

func TestFirmwareNames(t *testing.T) {
	for _, test := range []struct {
		event              pxe.Event
		firmware, archName string
	}{
		{pxe.Event{Arch: firmware.ArchBIOS, Method: "ipxe"}, "bios-ipxe", "amd64/generic"},
		{pxe.Event{Arch: firmware.ArchEFI64, Method: "ipxe"}, "uefi-ipxe", "amd64/generic"},
		{pxe.Event{Arch: firmware.ArchEFI64, Method: "uefi-amd64-pxe"}, "uefi-amd64-pxe", "amd64/generic"},
		{pxe.Event{Arch: firmware.ArchARM64, Method: "uefi-arm64-pxe"}, "uefi-arm64-pxe", "arm64/generic"},
		{pxe.Event{Arch: firmware.ArchUnknown, Method: "ipxe"}, "ipxe", ""},
		{pxe.Event{Arch: firmware.ArchEFI64}, "", "amd64/generic"},
	} {
		if got := firmwareOf(test.event); got != test.firmware {
			t.Errorf("firmware %q of %+v, want %q", got, test.event, test.firmware)
		}
		if got := architecture(test.event.Arch); got != test.archName {
			t.Errorf("architecture %q of %v, want %q", got, test.event.Arch, test.archName)
		}
	}
}

func TestBootEventsAreOneLine(t *testing.T) {
	tftp := pxe.Event{Stage: pxe.StageLoader, Path: "grubx64.efi", Proto: "tftp", Bytes: 1024, Duration: 1500 * time.Microsecond, BlockSize: 1428, WindowSize: 4, Retransmits: 2}
	failed := pxe.Event{Stage: pxe.StageKernel, Path: "/vmlinuz", Proto: "http", Bytes: 10, Err: "connection reset"}
	for _, test := range []struct {
		event       pxe.Event
		level, text string
	}{
		{tftp, "info", "loader: grubx64.efi by tftp, 1024 bytes in 2ms, block size 1428, window 4, 2 sent again"},
		{failed, "warning", "kernel: /vmlinuz by http, 10 bytes in 0s: connection reset"},
	} {
		if l, text := level(test.event), describe(test.event); l != test.level || text != test.text {
			t.Errorf("%s %q, want %s %q", l, text, test.level, test.text)
		}
	}
}

// rename renames a table, so that statements on it fail.
func rename(t *testing.T, r *Region, from, to string) {
	t.Helper()
	ok(t, r.db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "ALTER TABLE "+from+" RENAME TO "+to)
		return err
	}))
}
