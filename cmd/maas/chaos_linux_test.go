package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
	"github.com/gomaas/maas/store/pgtest"
)

// part is a process of the site that has faults.
type part struct {
	*process
	name string
	ns   *netlab.NS

	mu    sync.Mutex // guards the fields below
	since time.Time  // when it last became whole, or will be; zero = it is not
	heal  func()     // ends its fault; nil = it has none
	until time.Time
	quiet time.Duration // how long it may say nothing once it serves: without its partner, a rack waits for that
}

// whole reports since when a part serves without a fault.
func (p *part) whole() (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.since, !p.since.IsZero() && time.Now().After(p.since)
}

func (p *part) mark(whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since = (time.Time{}); whole {
		p.since = time.Now().Add(p.quiet)
	}
}

// wholeAll are the parts that serve without a fault, and since when.
func wholeAll(parts []*part) map[*part]time.Time {
	out := map[*part]time.Time{}
	for _, p := range parts {
		if since, whole := p.whole(); whole {
			out[p] = since
		}
	}
	return out
}

// held says who was given an address, and when. The lease ends after leaseTime, and the regions forget it.
type held struct {
	mac string
	at  time.Time
}

const leaseTime = 10 * time.Minute // what racks give unless told otherwise

// chaosNet is the network of one rack or two, with machines in one namespace.
type chaosNet struct {
	t       *testing.T
	racks   []*part
	number  byte // 10.number.0.0/16
	vlan    int64
	servers []string
	relayed bool
	conn    net.PacketConn
	http    *http.Client
	known   map[string]string // address by MAC
	macs    []net.HardwareAddr

	mu      sync.Mutex      // guards the fields below
	dynamic map[string]held // by address
	scripts map[string]int  // requests by MAC
	checks  int
}

// chaosSite is two regions on one database and three racks, two of which share a network and serve another through a relay.
type chaosSite struct {
	t       *testing.T
	url     string
	regions []*part
	lan     *netlab.NS // the switch of the first network
	racks   []*part
	nets    []*chaosNet
	db      *store.DB
	inv     *inventory.Inventory

	mu    sync.Mutex // guards the fields below
	acked []string   // names written through the API
}

func (s *chaosSite) parts() []*part { return append(append([]*part{}, s.regions...), s.racks...) }

func newChaosSite(t *testing.T) *chaosSite {
	t.Helper()
	lab := netlab.New(t)
	core := lab.NS("core")
	core.Bridge("br0")
	s := &chaosSite{t: t, url: pgtest.Start(t).NewDatabase(t)}
	join := func(name, address string) *netlab.NS {
		ns := lab.NS(name)
		lab.Veth(ns, "up0", core, "p-"+name)
		core.Port("br0", "p-"+name)
		ns.Addr("up0", address)
		return ns
	}
	base := t.TempDir()
	for i, name := range []string{"a", "b"} {
		ns := join("r"+name, fmt.Sprintf("172.30.0.%d/24", i+1))
		data := filepath.Join(base, name)
		p := newProcess(t, ns, "region", "--data", data, "--name", name, "--database", s.url)
		s.regions = append(s.regions, &part{process: p, name: "region " + name, ns: ns})
	}
	s.startRegions(base)
	for i, racks := range [][]string{{"rack1", "rack2"}, {"rack3"}} {
		n := &chaosNet{t: t, number: byte(i + 1), known: map[string]string{}, dynamic: map[string]held{}, scripts: map[string]int{}}
		lan, machines := lab.NS(fmt.Sprint("lan", i+1)), lab.NS(fmt.Sprint("m", i+1))
		lan.Bridge("br0")
		plug := func(ns *netlab.NS, name, address string) {
			lab.Veth(ns, "eth0", lan, "p-"+name)
			lan.Port("br0", "p-"+name)
			ns.Addr("eth0", address+"/16")
		}
		if i == 0 {
			s.lan = lan
		}
		plug(machines, "machines", n.address(0, 250))
		for k, name := range racks {
			ns, address := join(name, fmt.Sprintf("172.30.0.%d/24", 11+len(s.racks))), n.address(0, byte(k+1))
			plug(ns, name, address)
			p := newProcess(t, ns, "rack", "--data", filepath.Join(base, name), "--interface", "eth0", "--name", name, "--dhcp-force",
				"--dhcp-range", n.address(128, 0)+"-"+n.address(254, 254))
			rack := &part{process: p, name: name, ns: ns}
			if len(racks) > 1 {
				rack.quiet = 11 * time.Second
			}
			n.racks, n.servers = append(n.racks, rack), append(n.servers, address)
			s.racks = append(s.racks, rack)
		}
		n.open(machines)
		s.nets = append(s.nets, n)
	}
	s.relayed(lab)
	return s
}

// relayed adds a network whose machines reach the racks of the first one through a relay agent.
func (s *chaosSite) relayed(lab *netlab.Lab) {
	lan := s.nets[0]
	n := &chaosNet{
		t: s.t, racks: lan.racks, servers: lan.servers, number: 9, relayed: true,
		known: map[string]string{}, dynamic: map[string]held{}, scripts: map[string]int{},
	}
	relay, machines := lab.NS("relay"), lab.NS("m9")
	lab.Veth(relay, "eth0", s.lan, "p-relay")
	s.lan.Port("br0", "p-relay")
	lab.Veth(relay, "eth1", machines, "eth0")
	relay.Addr("eth0", lan.address(0, 200)+"/16")
	relay.Addr("eth1", n.address(0, 1)+"/16")
	machines.Addr("eth0", n.address(0, 250)+"/16")
	machines.IP("route", "add", "default", "via", n.address(0, 1))
	for _, rack := range lan.racks {
		rack.ns.IP("route", "add", n.address(0, 0)+"/16", "via", lan.address(0, 200))
	}
	chaosOK(s.t, relay.Command(s.t.Context(), "sysctl", "-qw", "net.ipv4.ip_forward=1").Run())
	agent := relay.Command(context.WithoutCancel(s.t.Context()), "dhcrelay", append([]string{"-4", "-d", "--no-pid", "-id", "eth1", "-iu", "eth0"}, lan.servers...)...)
	chaosOK(s.t, agent.Start())
	s.t.Cleanup(func() {
		agent.Process.Kill()
		agent.Wait()
	})
	n.open(machines)
	s.nets = append(s.nets, n)
}

// relay makes the subnet of a relayed network.
func (s *chaosSite) relay(n *chaosNet, to int64) {
	ctx := s.t.Context()
	target, err := s.inv.VLANs.Get(ctx, to)
	chaosOK(s.t, err)
	vlan, err := s.inv.VLANs.Create(ctx, ipam.VLAN{FabricID: target.FabricID, VID: int(n.number), RelayVLANID: to})
	chaosOK(s.t, err)
	subnet, err := s.inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.MustParsePrefix(n.address(0, 0) + "/16"), VLANID: vlan.ID})
	chaosOK(s.t, err)
	_, err = s.inv.Ranges.Create(ctx, ipam.Range{
		SubnetID: subnet.ID, Type: ipam.RangeDynamic, Start: netip.MustParseAddr(n.address(128, 0)), End: netip.MustParseAddr(n.address(254, 254)),
	})
	chaosOK(s.t, err)
}

// address is 10.number.high.low.
func (n *chaosNet) address(high, low byte) string {
	return netip.AddrFrom4([4]byte{10, n.number, high, low}).String()
}

// startRegions starts the first, gives the second its key, and starts that.
func (s *chaosSite) startRegions(base string) {
	for i, p := range s.regions {
		if i > 0 {
			key, err := os.ReadFile(filepath.Join(base, "a", region.KeyFile))
			chaosOK(s.t, err)
			chaosOK(s.t, os.MkdirAll(filepath.Join(base, "b"), 0o700))
			chaosOK(s.t, os.WriteFile(filepath.Join(base, "b", region.KeyFile), key, 0o600))
		}
		p.start()
		eventually(s.t, p.name+" answers", func() bool { return s.answers(i) })
		p.mark(true)
	}
	db, err := store.OpenExisting(s.t.Context(), s.url, schema.FS)
	chaosOK(s.t, err)
	s.t.Cleanup(func() { db.Close() })
	s.db = db
	s.inv, err = inventory.Open(s.t.Context(), db, inventory.Config{})
	chaosOK(s.t, err)
}

func chaosOK(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// admin is the command socket of a region.
func (s *chaosSite) admin(i int) client.Client {
	return client.Client{Socket: daemon.SocketPath(s.regions[i].args[2])}
}

func (s *chaosSite) answers(i int) bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
	defer cancel()
	return s.admin(i).Get(ctx, region.RacksPath, &[]region.RackInfo{}) == nil
}

// open opens what the machines of a network share.
func (n *chaosNet) open(ns *netlab.NS) {
	t := n.t
	chaosOK(t, ns.Do(func() (err error) {
		lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
			cerr := c.Control(func(fd uintptr) {
				err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1), unix.BindToDevice(int(fd), "eth0"))
			})
			return errors.Join(cerr, err)
		}}
		n.conn, err = lc.ListenPacket(t.Context(), "udp4", ":68")
		return err
	}))
	t.Cleanup(func() { n.conn.Close() })
	n.http = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = ns.Do(func() (err error) {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}}}
}

// enrol lets the racks in and makes machines that are known on each network.
func (s *chaosSite) enrol(machines int) {
	ctx := s.t.Context()
	for i, rack := range s.racks {
		var token region.TokenInfo
		chaosOK(s.t, s.admin(i%2).Post(ctx, region.TokensPath, url.Values{"open": {"true"}}, &token))
		rack.start("--enrol-file", tokenFile(rack.t, token.Token))
	}
	for i, n := range s.nets {
		at := netip.MustParseAddr(n.address(1, 1))
		var subnet ipam.Subnet
		if n.relayed {
			s.relay(n, s.nets[0].vlan)
		}
		eventually(s.t, "the network of "+n.racks[0].name+" is known", func() (is bool) {
			var err error
			subnet, err = s.inv.SubnetFor(ctx, at)
			return err == nil
		})
		if n.vlan = subnet.VLANID; len(n.racks) > 1 && !n.relayed {
			s.share(subnet.VLANID, n.racks)
		}
		for m := range machines {
			mac := net.HardwareAddr{2, 0xca, 0, byte(i), 0, byte(m)}
			machine, _, err := s.inv.Enlist(ctx, inventory.Enlistment{MAC: mac, Hostname: fmt.Sprintf("known-%d-%d", i, m)})
			chaosOK(s.t, err)
			machine.Profile = &pxe.Profile{Name: "own", Kind: pxe.Local}
			machine, err = s.inv.Machines.Update(ctx, machine)
			chaosOK(s.t, err)
			address := n.address(1, byte(m+1))
			_, err = s.inv.LinkInterface(ctx, machine.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: subnet.ID, Addr: netip.MustParseAddr(address)})
			chaosOK(s.t, err)
			n.known[mac.String()] = address
			n.macs = append(n.macs, mac)
		}
	}
	for _, n := range s.nets {
		eventually(s.t, "machines of "+n.racks[0].name+" boot", func() bool { return n.boots(n.macs[len(n.macs)-1]) == nil })
		for _, rack := range n.racks {
			rack.mark(true)
		}
	}
}

// share makes two racks the racks of a VLAN, and waits until they know each other's leases.
func (s *chaosSite) share(vlan int64, racks []*part) {
	ctx := s.t.Context()
	eventually(s.t, "both racks are there", func() bool {
		v, err := s.inv.VLANs.Get(ctx, vlan)
		if err != nil || v.PrimaryRack == "" {
			return false
		}
		v.PrimaryRack, v.SecondaryRack = racks[0].name, racks[1].name
		_, err = s.inv.VLANs.Update(ctx, v)
		return err == nil
	})
	for _, rack := range racks {
		eventually(s.t, rack.name+" has a partner", func() bool { return strings.Contains(rack.logged(), "leases received from partner") })
	}
}

// boots gets a known machine its address and its script.
func (n *chaosNet) boots(mac net.HardwareAddr) error {
	got, err := n.lease(mac)
	if err != nil {
		return err
	}
	if want := n.known[mac.String()]; got != want {
		return fmt.Errorf("%s got %s instead of %s", mac, got, want)
	}
	var last error
	for _, server := range n.servers { // as scripts name them
		if last = n.script(server, mac); last == nil {
			return nil
		}
	}
	return last
}

// script gets a machine its script from one of the servers.
func (n *chaosNet) script(server string, mac net.HardwareAddr) error {
	n.mu.Lock()
	n.scripts[mac.String()]++
	n.mu.Unlock()
	resp, err := n.http.Get("http://" + server + ":5248/boot/" + firmware.FormatMAC(mac) + "/script.ipxe")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(text), "#!ipxe") {
		return fmt.Errorf("script of %s: %s %q %v", mac, resp.Status, text, err)
	}
	return nil
}

// lease gets an address as firmware does, which asks again after a while.
func (n *chaosNet) lease(mac net.HardwareAddr) (string, error) {
	discover, err := dhcpv4.NewDiscovery(mac, dhcpv4.WithBroadcast(true))
	if err != nil {
		return "", err
	}
	offer, err := n.ask(discover, dhcpv4.MessageTypeOffer)
	if err != nil {
		return "", err
	}
	request, err := dhcpv4.NewRequestFromOffer(offer, dhcpv4.WithBroadcast(true))
	if err != nil {
		return "", err
	}
	ack, err := n.ask(request, dhcpv4.MessageTypeAck)
	if err != nil {
		return "", err
	}
	return ack.YourIPAddr.String(), nil
}

func (n *chaosNet) ask(p *dhcpv4.DHCPv4, want dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	buf := make([]byte, 1500)
	for range 4 {
		if _, err := n.conn.WriteTo(p.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
			time.Sleep(50 * time.Millisecond)
			continue // no carrier
		}
		_ = n.conn.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
		for {
			size, _, err := n.conn.ReadFrom(buf)
			if err != nil {
				break
			}
			answer, err := dhcpv4.FromBytes(buf[:size])
			if err == nil && answer.TransactionID == p.TransactionID && answer.MessageType() == want {
				return answer, nil
			}
		}
	}
	return nil, fmt.Errorf("no %s for %s", want, p.ClientHWAddr)
}

// use lets machines boot until ctx ends. Each must, if one of the racks was whole all the time.
func (n *chaosNet) use(ctx context.Context, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, uint64(n.number)))
	for round := uint32(0); ctx.Err() == nil; round++ {
		before := wholeAll(n.racks)
		mac := n.macs[rng.IntN(len(n.macs))]
		err := n.boots(mac)
		for rack, since := range wholeAll(n.racks) {
			if was, whole := before[rack]; err != nil && whole && was.Equal(since) && ctx.Err() == nil {
				n.t.Errorf("%s lives since %s, and a known machine does not boot: %v", rack.name, since.Format("05.000"), err)
			}
		}
		n.mu.Lock()
		n.checks++
		n.mu.Unlock()
		if round%4 == 0 {
			fresh := net.HardwareAddr{2, 0xdd, n.number, 0, 0, 0}
			binary.BigEndian.PutUint16(fresh[4:], uint16(round/4))
			if got, err := n.lease(fresh); err == nil {
				n.hold(fresh.String(), got)
			}
		}
		time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
	}
}

// hold notes who was given an address.
func (n *chaosNet) hold(mac, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if other := n.dynamic[address]; other.mac != "" && other.mac != mac && time.Since(other.at) < leaseTime {
		n.t.Errorf("%s was given to %s and to %s", address, other.mac, mac)
	}
	n.dynamic[address] = held{mac, time.Now()}
}

// write changes the site through the API of any region until ctx ends.
func (s *chaosSite) write(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprint("tag-", i)
		one, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := s.admin(i%2).Post(one, client.API+"tags/", url.Values{"name": {name}}, nil)
		cancel()
		if err == nil {
			s.mu.Lock()
			s.acked = append(s.acked, name)
			s.mu.Unlock()
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// disturb makes a fault in a part, and says how to end it.
func (s *chaosSite) disturb(p *part, kind int) (name string, heal func()) {
	p.mark(false)
	switch kind {
	case 0:
		p.kill()
		return "is killed", func() { p.start() }
	case 1:
		chaosOK(s.t, p.cmd.Process.Signal(syscall.SIGSTOP))
		return "is stopped", func() { chaosOK(s.t, p.cmd.Process.Signal(syscall.SIGCONT)) }
	default:
		p.ns.IP("link", "set", "up0", "down")
		return "is cut off", func() { p.ns.IP("link", "set", "up0", "up") }
	}
}

// recover ends a part's fault. It is whole once it serves.
func (s *chaosSite) recover(p *part, settle func() bool) {
	p.heal()
	p.heal = nil
	for end := time.Now().Add(30 * time.Second); !settle(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s does not serve again", p.name)
		}
	}
	p.mark(true)
}

// served reports whether a part serves again, after its own word.
func (s *chaosSite) served(p *part) func() bool {
	count := strings.Count(p.logged(), "msg=serving")
	if p.cmd == nil { // it was killed
		count++
	}
	return func() bool { return p.cmd != nil && strings.Count(p.logged(), "msg=serving") >= count }
}

// The parts of a site are killed, stopped, cut off and started again at random. Known machines boot
// whenever their rack lives; no address is given twice; acknowledged changes of the API exist; what
// racks saw arrives, and once. The printed seed makes the same faults again: MAAS_CHAOS_SEED;
// MAAS_CHAOS=10m sets the duration.
func TestChaos(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dhcrelay", "isc-dhcp-relay"))
	length := 5 * time.Second
	if text := os.Getenv("MAAS_CHAOS"); text != "" {
		var err error
		length, err = time.ParseDuration(text)
		chaosOK(t, err)
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MAAS_CHAOS_SEED"); text != "" {
		_, err := fmt.Sscan(text, &seed)
		chaosOK(t, err)
	}
	t.Logf("MAAS_CHAOS_SEED=%d", seed)
	s := newChaosSite(t)
	s.enrol(8)

	ctx, stop := context.WithCancel(t.Context())
	var users sync.WaitGroup
	for _, n := range s.nets {
		users.Go(func() { n.use(ctx, seed) })
	}
	users.Go(func() { s.write(ctx) })
	s.storm(rand.New(rand.NewPCG(seed, 1)), length)
	time.Sleep(time.Second)
	stop()
	users.Wait()
	s.judge()
}

// storm makes faults for a time, up to two at once, and ends them all.
func (s *chaosSite) storm(rng *rand.Rand, length time.Duration) {
	begin, faults := time.Now(), map[string]int{}
	for time.Since(begin) < length {
		open := 0
		for _, p := range s.parts() {
			if p.heal != nil && time.Now().After(p.until) {
				s.recover(p, s.served(p))
			}
			if p.heal != nil {
				open++
			}
		}
		all := s.parts()
		p, kind, hold := all[rng.IntN(len(all))], rng.IntN(3), time.Duration(200+rng.IntN(3000))*time.Millisecond
		if open < 2 && p.heal == nil {
			var what string
			what, p.heal = s.disturb(p, kind)
			p.until = time.Now().Add(hold)
			faults[what]++
			if kind == 2 && !strings.HasPrefix(p.name, "region") {
				p.mark(true) // its machines have another link
			}
			s.t.Logf("%6.2fs %s %s for %v", time.Since(begin).Seconds(), p.name, what, hold)
		}
		time.Sleep(time.Duration(100+rng.IntN(600)) * time.Millisecond)
	}
	for _, p := range s.parts() {
		if p.heal != nil {
			s.recover(p, s.served(p))
		}
	}
	s.t.Logf("faults: %v", faults)
}

// judge looks at what is left when all is whole again.
func (s *chaosSite) judge() {
	t, ctx := s.t, s.t.Context()
	for i := range s.regions {
		eventually(t, s.regions[i].name+" can call all racks", func() bool {
			var racks []region.RackInfo
			if s.admin(i).Get(ctx, region.RacksPath, &racks) != nil || len(racks) != len(s.racks) {
				return false
			}
			for _, k := range racks {
				if !k.Connected {
					return false
				}
			}
			return true
		})
	}
	tags, err := s.inv.Tags.List(ctx)
	chaosOK(t, err)
	have := map[string]bool{}
	for _, tag := range tags {
		have[tag.Name] = true
	}
	for _, name := range s.acked {
		if !have[name] {
			t.Errorf("%s was acknowledged and is not there", name)
		}
	}
	leases, checks := 0, 0
	for _, n := range s.nets {
		s.judgeNet(n)
		leases, checks = leases+len(n.dynamic), checks+n.checks
	}
	t.Logf("%d boots, %d leases, %d writes acknowledged", checks, leases, len(s.acked))
	if checks == 0 || len(s.acked) == 0 {
		t.Error("nothing was tried")
	}
}

// allocations counts the rows of a leased address.
func (s *chaosSite) allocations(address string) (n int) {
	chaosOK(s.t, s.db.View(s.t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.Get(ctx, "SELECT COUNT(*) FROM allocation WHERE ip = ? AND type = ?", []any{address, int64(ipam.AllocDiscovered)}, &n)
	}))
	return n
}

// judgeNet compares what a network's machines saw with what the regions know.
func (s *chaosSite) judgeNet(n *chaosNet) {
	ctx := s.t.Context()
	missing := ""
	eventually(s.t, "all leases of "+n.racks[0].name+" are known", func() bool {
		for address, h := range n.dynamic {
			if missing = address; time.Since(h.at) < leaseTime-time.Minute && s.allocations(address) != 1 {
				return false
			}
		}
		missing = ""
		return true
	})
	if missing != "" {
		s.t.Errorf("lease of %s is missing", missing)
	}
	for mac, requests := range n.scripts {
		hw, _ := net.ParseMAC(mac)
		m, err := s.inv.MachineByMAC(ctx, hw)
		chaosOK(s.t, err)
		events, err := s.inv.Events.After(ctx, m.ID, 0, 100_000)
		chaosOK(s.t, err)
		boots := 0
		for _, e := range events {
			if e.Kind == "boot" {
				boots++
			}
		}
		if boots > requests {
			s.t.Errorf("%s asked %d times, and %d are recorded", mac, requests, boots)
		}
	}
}
