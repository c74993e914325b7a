package discovery_test

import (
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// floodSenders is the number of made-up devices that flood the wire; the environment may ask for
// more.
func floodSenders() int {
	if n, err := strconv.Atoi(os.Getenv("MAAS_FLOOD")); err == nil {
		return n
	}
	return 20_000
}

// While devices of which there are none shout as fast as the cable carries, in turns, over the addresses of a /22, a real one is
// seen, memory is bounded, and what was lost is counted.
func TestFloodOnTheWire(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("arping", "arping"))
	counters := new(discovery.Counters)
	table := discovery.NewTable(discovery.TableConfig{})
	w := newWire(t, discovery.Config{Counters: counters, Table: table})
	host, flooder := w.host("host"), w.host("flooder")
	host.Addr("eth0", "192.0.2.7/24")
	conn := w.open(flooder, discovery.Beacons) // hears nothing
	before := heap()
	senders := floodSenders()
	sent, began := 0, time.Now()
	for round := 0; round < 4 || time.Since(began) < 3*time.Second; round++ {
		if round == 1 {
			w.start(host, "arping", "-i", "eth0", "-W", "0.2", "192.0.2.1")
		}
		for n := range senders {
			from := discovery.MAC{2, 1, 0, byte(n >> 16), byte(n >> 8), byte(n)}
			addr := netip.AddrFrom4([4]byte{10, 0, byte(n % 1022 >> 8), byte(n % 1022)})
			if err := conn.Send(discoverytest.ARP(from, addr, discovery.MAC{}, netip.MustParseAddr("10.0.0.1"), false)); err != nil {
				t.Fatal(err)
			}
			sent++
		}
	}
	t.Logf("%d frames of %d senders in %v", sent, senders, time.Since(began).Round(time.Millisecond))
	w.await("a real host in a flood", at("192.0.2.7"))
	stats, used := table.Stats(), heap()-before
	t.Logf("%d read, %d lost, %d MB, %+v", counters.Frames.Load(), counters.Dropped.Load(), used>>20, stats)
	if used > 64<<20 || stats.Kept > 1<<17 {
		t.Errorf("%d MB for %d devices", used>>20, stats.Kept)
	}
	if got := counters.Frames.Load() + counters.Dropped.Load(); got < uint64(sent)*9/10 {
		t.Errorf("%d of %d frames are accounted for", got, sent)
	}
}

// heap returns the memory in use.
func heap() int64 {
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return int64(mem.HeapAlloc)
}
