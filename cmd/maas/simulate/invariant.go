package simulate

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// The invariants. The first group holds at any time, the second one once the site has been healthy
// for a while, the third one while all regions are down.
const (
	invariantOneHolder = "no address is held by two machines"
	invariantOnDisk    = "an acknowledged lease is on the disk of a rack"
	invariantPlace     = "an address belongs to the network of its machine and to no server"
	invariantServe     = "a role ends only when it is told to"

	invariantWrites  = "an acknowledged write of an operator is in the database, and a deleted object is not"
	invariantBoot    = "a machine that is switched on runs a system"
	invariantStatic  = "a machine with a static address has that address"
	invariantKept    = "an address that is kept for one machine is not given to another"
	invariantLeases  = "region, rack and partner know the same leases"
	invariantOne     = "a machine is in the inventory once"
	invariantNames   = "names follow addresses, forward and back, on all racks"
	invariantPower   = "a machine's power is as the last acknowledged command left it, or as its button did"
	invariantHealth  = "no service stays failed, and no fact waits"
	invariantBounds  = "what is kept and what runs is bounded"
	invariantSecrets = "a secret is on no rack outside of its network, and nowhere in clear text"
	invariantHistory = "the history of an address has one holder at a time"

	invariantAlone = "a known machine boots while all regions are down"
)

// always checks what holds at any time.
func (s *site) always() {
	holders := make(map[netip.Addr]*host)
	for _, h := range s.hosts {
		addr := h.holds()
		if !addr.IsValid() {
			continue
		}
		if other := holders[addr]; other != nil {
			s.broken(invariantOneHolder, "%s and %s have %v", other.name, h.name, addr)
		}
		holders[addr] = h
		s.checkPlace(h, addr)
		s.checkLease(h, addr)
	}
}

func (s *site) checkPlace(h *host, addr netip.Addr) {
	if !h.hall.segment.Prefix().Contains(addr) {
		s.broken(invariantPlace, "%s has %v, which is not in %v", h.name, addr, h.hall.segment.Prefix())
	}
	for _, r := range s.racks {
		if r.addr == addr {
			s.broken(invariantPlace, "%s has the address of %s", h.name, r.name)
		}
	}
}

// checkLease looks for the lease of an address that a machine has: it is on the disk of a rack of
// the network, or a crash would give the address away.
func (s *site) checkLease(h *host, addr netip.Addr) {
	var found []string
	for _, r := range h.hall.racks {
		for _, l := range r.disk.leases() {
			if l.Addr != addr {
				continue
			}
			if l.State == dhcpsrv.Bound && bytes.Equal(l.MAC, h.mac) {
				return
			}
			found = append(found, fmt.Sprintf("%s: %v of %v until %v, changed at %v", r.name, l.State, l.MAC, l.End.Sub(s.began), l.Changed.Sub(s.began)))
		}
	}
	s.broken(invariantOnDisk, "%s uses %v, and the disks have %v", h.name, addr, found)
}

// spare ends what the promise of partners does not cover: that both live for longer than their
// takeover time without hearing each other, see package failover.
func (s *site) spare() {
	a, b := s.racks[0], s.racks[1]
	if !a.up() || !b.up() || !s.cables.parted(a.name, b.name) || s.opts.plant == loosePartner {
		s.partedSince = time.Now()
		return
	}
	if time.Since(s.partedSince) > failover.DefaultTakeover-30*time.Second {
		s.logf("the partners meet, which the story leaves out")
		s.partRacks(false)
	}
}

// The site is healthy for calm before the second group of invariants is checked: longer than leases
// last, and than machines that found no server rest.
const calm = 25 * time.Minute

// settle heals the site, lets it be, and checks the second group.
func (s *site) settle() {
	s.logf("all is healed")
	s.heal()
	s.pass(2 * time.Minute)
	// Machines that gave up while nothing answered are started again, as their operators would.
	for _, h := range s.hosts {
		if h.machine.Powered() && !h.holds().IsValid() {
			h.machine.PowerOff()
			h.machine.PowerOn()
			s.pass(time.Second) // what happens at one instant has no order
		}
	}
	s.pass(calm)
	if s.failed() {
		return
	}
	for _, check := range []func(){
		s.checkWrites, s.checkRuns, s.checkStatic, s.checkLeases, s.checkOne, s.checkNames, s.checkPower, s.checkHealth, s.checkBounds, s.checkSecrets, s.checkHistory,
	} {
		check()
	}
}

func (s *site) heal() {
	s.cables.trouble(0, 0)
	s.partRacks(false)
	for _, r := range s.racks {
		s.cables.deafen(r.name, false)
		r.disk.fill(false)
		for _, g := range s.regions {
			s.cables.part(r.name, g.name, false)
		}
	}
	for _, h := range s.hosts {
		h.pull(false)
	}
	for _, g := range s.regions {
		s.started(g.start())
	}
	for _, r := range s.racks {
		s.started(r.start())
	}
}

// must ends the simulation when the inventory cannot be read, which nothing in a story explains
// once it is healed.
func must[T any](s *site) func(v T, err error) T {
	return func(v T, err error) T {
		if err != nil {
			s.broken(invariantServe, "the inventory cannot be read: %v", err)
		}
		return v
	}
}

func (s *site) checkWrites() {
	ctx, inv := context.Background(), s.inventory()
	for h, want := range s.books.machines {
		m, err := inv.MachineByMAC(ctx, h.mac)
		switch {
		case want == present && (err != nil || m.Hostname != h.name):
			s.broken(invariantWrites, "%s was added, and is %q: %v", h.name, m.Hostname, err)
		case want == absent && err == nil && m.Hostname == h.name && !h.machine.Powered():
			s.broken(invariantWrites, "%s was deleted, and exists", h.name)
		}
	}
	records := make(map[string]bool)
	for _, r := range must[[]inventory.DNSRecord](s)(inv.Records.List(ctx)) {
		records[r.Name] = true
	}
	for name, want := range s.books.records {
		if want != unsure && records[name] != (want == present) {
			s.broken(invariantWrites, "DNS record %s exists: %v", name, records[name])
		}
	}
	for addr, want := range s.books.ips {
		hall := s.hallOf(addr)
		all, err := inv.Allocations(ctx, hall.subnet.ID)
		kept := slices.ContainsFunc(all, func(a ipam.Allocation) bool { return a.Addr == addr })
		if want != unsure && kept != (want == present) {
			s.broken(invariantWrites, "reservation of %v exists: %v (%v)", addr, kept, err)
		}
	}
}

func (s *site) checkRuns() {
	for _, h := range s.hosts {
		if !h.machine.Powered() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		report, err := h.machine.Wait(ctx)
		cancel()
		if err != nil || !report.Running.Done {
			s.broken(invariantBoot, "%s does not run: %v", h.name, err)
		} else if !h.holds().IsValid() {
			s.broken(invariantBoot, "%s runs and has no address", h.name)
		}
	}
}

func (s *site) checkStatic() {
	for h, addr := range s.books.statics {
		if has := h.holds(); has.IsValid() && has != addr {
			// An address from before the link is kept while the machine runs.
			s.logf("%s is started again for its static address", h.name)
			h.machine.PowerOff()
			h.machine.PowerOn()
			s.pass(2 * time.Minute)
			if has = h.holds(); has != addr {
				s.broken(invariantStatic, "%s has %v, and was given %v", h.name, has, addr)
			}
		}
	}
	for _, h := range s.hosts {
		for other, addr := range s.books.statics {
			if other != h && h.holds() == addr {
				s.broken(invariantKept, "%s has %v of %s", h.name, addr, other.name)
			}
		}
		if addr := h.holds(); s.books.ips[addr] == present {
			s.broken(invariantKept, "%s has %v, which is reserved", h.name, addr)
		}
	}
}

// bound returns the leases that a rack serves, by address.
func (n *rackNode) bound() map[netip.Addr]string {
	all := make(map[netip.Addr]string)
	now := time.Now().Add(time.Duration(n.ahead.Load()))
	for l := range n.rack.DHCP().Leases() {
		if l.State == dhcpsrv.Bound && l.End.After(now) {
			all[l.Addr] = l.MAC.String()
		}
	}
	return all
}

func (s *site) checkLeases() {
	ctx, inv := context.Background(), s.inventory()
	for _, hall := range s.halls {
		known := make(map[netip.Addr]string)
		for _, l := range must[[]inventory.Lease](s)(inv.Leases.Find(ctx, inventory.LeaseFilter{SubnetID: hall.subnet.ID, State: inventory.LeaseActive})) {
			known[l.Addr] = l.MAC.String()
		}
		for _, r := range hall.racks {
			has := r.bound()
			for _, static := range s.books.statics { // the region lists it as the machine's, not as a lease
				delete(has, static)
				delete(known, static)
			}
			if !maps.Equal(has, known) {
				s.broken(invariantLeases, "%s has %v, the region %v", r.name, has, known)
			}
		}
	}
}

func (s *site) checkOne() {
	count := make(map[string][]string)
	for _, m := range must[[]inventory.Machine](s)(s.inventory().Machines.List(context.Background())) {
		for _, i := range m.Interfaces {
			count[i.MAC.String()] = append(count[i.MAC.String()], m.Hostname)
		}
	}
	for mac, names := range count {
		if len(names) > 1 {
			s.broken(invariantOne, "%s is an interface of %v", mac, names)
		}
	}
}

// checkNames asks each rack for the name of each machine that runs.
func (s *site) checkNames() {
	ctx, inv := context.Background(), s.inventory()
	for _, h := range s.hosts {
		addr := h.holds()
		m, err := inv.MachineByMAC(ctx, h.mac)
		if err != nil || !addr.IsValid() {
			continue
		}
		for _, r := range s.racks {
			if got := r.resolve(m.FQDN, dns.TypeA); !slices.Contains(got, addr.String()) {
				s.broken(invariantNames, "%s says that %s is %v, and it has %v", r.name, m.FQDN, got, addr)
			}
			reverse, err := dns.ReverseAddr(addr.String())
			if got := r.resolve(reverse, dns.TypePTR); err != nil || !slices.Contains(got, dns.Fqdn(m.FQDN)) {
				s.broken(invariantNames, "%s says that %v is %v, and it is %s", r.name, addr, got, m.FQDN)
			}
		}
	}
}

// resolve asks the DNS server of the rack, as a host of its network does.
func (n *rackNode) resolve(name string, kind uint16) (values []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := n.node.DialContext(ctx, "udp", netip.AddrPortFrom(n.addr, 53).String())
	if err != nil {
		return []string{err.Error()}
	}
	defer conn.Close()
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	answer, _, err := new(dns.Client).ExchangeWithConn(q, &dns.Conn{Conn: conn})
	if err != nil {
		return []string{err.Error()}
	}
	for _, rr := range answer.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			values = append(values, rr.A.String())
		case *dns.PTR:
			values = append(values, rr.Ptr)
		}
	}
	return values
}

func (s *site) checkPower() {
	for h, on := range s.books.power {
		if h.machine.Powered() != on && !h.pressed {
			s.broken(invariantPower, "%s: last command: on %v; it is on: %v", h.name, on, h.machine.Powered())
		}
	}
}

func (s *site) checkHealth() {
	for _, r := range s.racks {
		report := r.rack.Report()
		for _, service := range report.Services {
			if service.Status != "running" && service.Status != "off" {
				s.broken(invariantHealth, "%s: service %s is %s: %s", r.name, service.Name, service.Status, service.Info)
			}
		}
		if report.Waiting > 0 {
			s.broken(invariantHealth, "%s: %d facts wait", r.name, report.Waiting)
		}
	}
	for _, g := range s.regions {
		a := &answer{header: make(http.Header), code: http.StatusOK}
		r, err := http.NewRequest(http.MethodGet, "http://region/readyz", nil)
		if err != nil {
			panic(err) // a path that is written here
		}
		if g.region.Handler().ServeHTTP(a, r); a.code != http.StatusOK {
			s.broken(invariantHealth, "%s is not ready: %s", g.name, a.body.String())
		}
	}
}

const (
	maxGoroutines = 2000
	maxOutbox     = 32 << 20
)

func (s *site) checkBounds() {
	if n := runtime.NumGoroutine(); n > maxGoroutines {
		s.broken(invariantBounds, "%d goroutines", n)
	}
	for _, r := range s.racks {
		if info, err := os.Stat(filepath.Join(r.dir, "outbox")); err == nil && info.Size() > maxOutbox {
			s.broken(invariantBounds, "the outbox of %s has %d bytes", r.name, info.Size())
		}
	}
	if all := must[[]inventory.Machine](s)(s.inventory().Machines.List(context.Background())); len(all) > len(s.hosts) {
		s.broken(invariantBounds, "%d machines in the inventory, %d exist", len(all), len(s.hosts))
	}
}

// checkSecrets looks for passwords of BMCs in the files of the site.
func (s *site) checkSecrets() {
	err := fs.WalkDir(os.DirFS(s.dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(s.dir, path))
		if err != nil {
			return err
		}
		for _, h := range s.hosts {
			if bytes.Contains(text, []byte(h.secret())) {
				s.broken(invariantSecrets, "the password of the BMC of %s is in %s", h.name, path)
			}
		}
		return nil
	})
	if err != nil {
		s.broken(invariantServe, "files: %v", err)
	}
}

func (s *site) checkHistory() {
	inv := s.inventory()
	periods := must[[]inventory.LeasePeriod](s)(inv.Leases.History(context.Background(), inventory.PeriodFilter{Limit: 10_000}))
	slices.SortStableFunc(periods, func(a, b inventory.LeasePeriod) int {
		return cmp.Or(a.Addr.Compare(b.Addr), a.Began.Compare(b.Began))
	})
	for i := 1; i < len(periods); i++ {
		a, b := periods[i-1], periods[i]
		if a.Addr == b.Addr && !bytes.Equal(a.MAC, b.MAC) && a.Ended.IsZero() {
			s.broken(invariantHistory, "%v: %v since %v has not ended, and %v has it since %v", a.Addr, a.MAC, a.Began, b.MAC, b.Began)
		}
	}
}

// outage ends all regions and starts the machines that the site knows.
func (s *site) outage() {
	s.logf("all regions end")
	for _, g := range s.regions {
		g.crash()
	}
	for _, h := range s.hosts {
		if s.books.machines[h] == present {
			h.machine.PowerOff()
			h.machine.PowerOn()
			s.pass(time.Second)
		}
	}
	s.pass(3 * time.Minute)
	for _, h := range s.hosts {
		if s.books.machines[h] != present || s.failed() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		report, err := h.machine.Wait(ctx)
		cancel()
		switch {
		case err != nil || !report.Running.Done:
			s.broken(invariantAlone, "%s does not run: %v", h.name, err)
		case report.Running.Host != h.name:
			s.broken(invariantAlone, "%s got the name %q", h.name, report.Running.Host)
		case s.books.statics[h].IsValid() && h.holds() != s.books.statics[h]:
			s.broken(invariantStatic, "%s has %v, and was given %v", h.name, h.holds(), s.books.statics[h])
		}
	}
	synctest.Wait()
}
