package console_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// Size of the site of the benchmarks.
const (
	realMachines = 10_000
	realSubnets  = 200
	realLeases   = 20_000
)

// realMAC is the address of a machine.
func realMAC(i int) net.HardwareAddr {
	return net.HardwareAddr{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}
}

// realSite is a large site in a database on disk, as a region has it. It takes a minute to make.
func realSite(b *testing.B) *site {
	b.Helper()
	s := newSite(b, nil)
	ctx := b.Context()
	ok(b, s.inv.Atomically(ctx, func(ctx context.Context) error {
		for i := range realSubnets {
			sub, err := s.inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 22)})
			if err != nil {
				return err
			}
			x := ipam.Range{SubnetID: sub.ID, Type: ipam.RangeDynamic, Start: netip.AddrFrom4([4]byte{10, byte(i), 1, 0}), End: netip.AddrFrom4([4]byte{10, byte(i), 2, 255})}
			if _, err := s.inv.Ranges.Create(ctx, x); err != nil {
				return err
			}
		}
		for i := range realMachines {
			if _, _, err := s.inv.Enlist(ctx, inventory.Enlistment{MAC: realMAC(i), Hostname: fmt.Sprint("node-", i)}); err != nil {
				return err
			}
		}
		for i := range realLeases {
			a := netip.AddrFrom4([4]byte{10, byte(i % realSubnets), 1, byte(i / realSubnets)})
			if err := s.inv.Leases.Record(ctx, inventory.LeaseFact{MAC: realMAC(i), Addr: a, Hostname: fmt.Sprint("client-", i), Expires: time.Now().Add(time.Hour), Quiet: true}); err != nil {
				return err
			}
		}
		return nil
	}))
	for i := range 1000 {
		ok(b, s.boot(ctx, i, pxe.StageOffer))
	}
	return s
}

// boot records a step of a machine's boot.
func (s *site) boot(ctx context.Context, i int, stage pxe.Stage) error {
	return s.inv.Boots.Record(ctx, pxe.Event{Time: time.Now(), MAC: realMAC(i), Stage: stage, Path: "debian/12/" + string(stage), Proto: "http", Method: "uefi-amd64-http", Bytes: 8 << 20, Duration: time.Second / 2})
}

// realPages are the addresses of the pages of the real site.
var realPages = []string{
	"/", "/boots", "/boots?page=3", "/machines", "/machines?q=node-99&page=2", "/machines/new", "/networks", "/networks?page=3", "/networks/subnets/7", "/networks/subnets/7?page=2",
	"/addresses/10.6.1.3", "/leases", "/leases?q=10.7.", "/leases?page=200", "/leases/history", "/devices", "/names", "/racks", "/racks/rack", "/doctor", "/events", "/audit",
}

// BenchmarkReal measures a site of 10,000 machines, 200 subnets and 20,000 leases in SQLite: the
// first byte of each page, which is sent when all of it is rendered, the time from a step of a boot
// to the bytes on the stream, and the cost of 200 open pages while 1,000 machines boot.
func BenchmarkReal(b *testing.B) {
	s := realSite(b)
	ada := s.as(b, "ada")
	for _, path := range realPages {
		b.Run("page"+path, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = len(ada.get(path))
			}
			b.ReportMetric(float64(n)/1000, "kB")
		})
	}
	b.Run("changed", func(b *testing.B) { // the first page after a change of the site
		i := 0
		for b.Loop() {
			i++
			_, err := s.inv.Records.Create(b.Context(), inventory.DNSRecord{DomainID: 1, Name: fmt.Sprint("r", i), Type: "TXT", Data: "x"})
			ok(b, err)
			ada.get("/")
		}
	})
	b.Run("event-to-stream", func(b *testing.B) { eventToStream(b, s, ada) })
	b.Run("200-pages", func(b *testing.B) { openPages(b, s, ada, 200, 1000) })
}

// follow reads the stream of boots until ctx ends, and calls got with each line.
func (s *site) follow(ctx context.Context, b *browser, server string, got func(line []byte)) error {
	req, err := http.NewRequestWithContext(ctx, "GET", server+"/boots/live", nil)
	if err != nil {
		return err
	}
	req.AddCookie(b.cookie)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewReaderSize(res.Body, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return err
		}
		got(line)
	}
}

// eventToStream measures the time from a step of a boot to its row on an open page.
func eventToStream(b *testing.B, s *site, ada *browser) {
	server := httptest.NewServer(s.page)
	defer server.Close()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	rows, ready := make(chan time.Time, 1000), make(chan bool, 1)
	go func() {
		_ = s.follow(ctx, ada, server.URL, func(line []byte) {
			switch {
			case bytes.HasPrefix(line, []byte(": from")):
				ready <- true
			case bytes.HasPrefix(line, []byte("event: b-")), bytes.HasPrefix(line, []byte("event: new")):
				rows <- time.Now()
			}
		})
	}()
	<-ready
	var took []time.Duration
	i := 5000
	for b.Loop() {
		i++
		began := time.Now()
		ok(b, s.boot(ctx, i, pxe.StageLoader))
		took = append(took, (<-rows).Sub(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "ms-most")
}

// openPages has pages open while machines boot, and reports the processor time of all of it, the
// clients included, as part of one core.
func openPages(b *testing.B, s *site, ada *browser, pages, machines int) {
	server := httptest.NewServer(s.page)
	defer server.Close()
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		var all sync.WaitGroup
		var octets atomic.Int64
		var ready sync.WaitGroup
		ready.Add(pages)
		for range pages {
			all.Go(func() {
				_ = s.follow(ctx, ada, server.URL, func(line []byte) {
					octets.Add(int64(len(line)))
					if bytes.HasPrefix(line, []byte(": from")) {
						ready.Done()
					}
				})
			})
		}
		ready.Wait()
		began, cpu := time.Now(), processorTime()
		// A boot of five steps takes a machine half a minute; a thousand of them begin at once.
		const during = 30 * time.Second
		stages := []pxe.Stage{pxe.StageOffer, pxe.StageLoader, pxe.StageConfig, pxe.StageKernel, pxe.StageInitrd}
		tick := time.NewTicker(during / time.Duration(machines*len(stages)))
		for n := range machines * len(stages) {
			<-tick.C
			ok(b, s.boot(ctx, n%machines, stages[n/machines]))
		}
		tick.Stop()
		b.ReportMetric(float64(processorTime()-cpu)/float64(time.Since(began)), "cores")
		b.ReportMetric(float64(octets.Load())/1e6, "MB-sent")
		cancel()
		all.Wait()
	}
}

// processorTime returns the time that this process had a processor.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
