package dhcpsrv_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/journal"
	"github.com/insomniacslk/dhcp/dhcpv6"
)

// killEnv tells a process of this test binary that it is the server to be killed: path of the journal, then the addresses
// to which it shall answer: of clients of IPv4, of IPv6, and of routers that want prefixes.
const killEnv = "DHCPSRV_KILL"

// vast has room for all clients of the test. Leases that the server does not know are left unanswered, so that one that it
// has forgotten shows.
func vast() dhcpsrv.Snapshot {
	return dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "four", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Link: "eth0", Server: ip("10.0.0.1"), NotAuthoritative: true,
		LeaseTime: 24 * time.Hour, Pools: []dhcpsrv.Pool{{First: ip("10.1.0.0"), Last: ip("10.16.255.255")}},
	}, {
		Name: "six", Prefix: netip.MustParsePrefix("2001:db8::/64"), Link: "eth0", Server: ip("2001:db8::1"), NotAuthoritative: true,
		LeaseTime: 24 * time.Hour, Pools: []dhcpsrv.Pool{{First: ip("2001:db8::1:0"), Last: ip("2001:db8::f:ffff")}},
		Delegate: []dhcpsrv.PrefixPool{{Prefix: netip.MustParsePrefix("2001:db8:f000::/36"), Length: 64}},
	}}}
}

// onePeer is a Conn on the loopback with one host at the other end, which plays all clients of a link.
type onePeer struct {
	*net.UDPConn
	peer *net.UDPAddr
}

func (c onePeer) ReadDHCP(b []byte) (int, string, netip.AddrPort, netip.Addr, error) {
	n, err := c.Read(b)
	return n, "eth0", netip.MustParseAddrPort("[fe80::9]:546"), netip.Addr{}, err
}

func (c onePeer) WriteDHCP(b []byte, _ string, _ netip.Addr, _ netip.AddrPort, _ net.HardwareAddr) error {
	_, err := c.WriteToUDP(b, c.peer)
	return err
}

// TestMain is the server of TestKill in the processes that are started for it.
func TestMain(m *testing.M) {
	var path, peer4, peer6, routers string
	if n, _ := fmt.Sscan(os.Getenv(killEnv), &path, &peer4, &peer6, &routers); n != 4 {
		os.Exit(m.Run())
	}
	fmt.Println(beKilled(path, peer4, peer6, routers))
	os.Exit(1)
}

func beKilled(path string, peers ...string) error {
	journal, err := journal.Open(path)
	if err != nil {
		return err
	}
	s, err := dhcpsrv.New(dhcpsrv.Config{Store: journal})
	if err != nil {
		return err
	}
	if err := s.Update(vast()); err != nil {
		return err
	}
	var conns [3]onePeer
	for i, peer := range peers {
		pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		pc.SetReadBuffer(4 << 20)
		conns[i] = onePeer{pc, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(peer))}
	}
	fmt.Println("serving", conns[0].LocalAddr(), conns[1].LocalAddr(), conns[2].LocalAddr())
	go s.Serve6(context.Background(), conns[1])
	go s.Serve6(context.Background(), conns[2])
	return s.Serve(context.Background(), conns[0])
}

// kills is a server that is killed and started again, and what its clients hold.
type kills struct {
	t       *testing.T
	path    string
	sides   [3]*side
	process *exec.Cmd
}

// side is the clients of one kind.
type side struct {
	t      *testing.T
	conn   *net.UDPConn
	server *net.UDPAddr
	talk   talk
	last   uint32                // number of the last client
	held   map[uint32]netip.Addr // what was acknowledged
	owner  map[netip.Addr]uint32
}

// talk is the messages of a kind of clients.
type talk interface {
	discover(client uint32) []byte
	// request asks for what an offer holds, recall for a lease from before.
	request(client uint32, offer []byte) []byte
	recall(client uint32, a netip.Addr) []byte
	// read tells an offer, or an acknowledged address, of which client.
	read(b []byte) (client uint32, offer bool, a netip.Addr)
}

// TestKill kills a server with SIGKILL again and again while clients of both families get leases, and routers
// prefixes: no address is given to two of them, and no acknowledged lease is forgotten. MAAS_KILLS sets how often.
func TestKill(t *testing.T) {
	times, _ := strconv.Atoi(os.Getenv("MAAS_KILLS"))
	if times == 0 {
		times = 3
	}
	k := &kills{t: t, path: filepath.Join(t.TempDir(), "leases")}
	for i, talk := range []talk{talk4{}, talk6{}, talkPrefix{}} {
		pc, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		k.sides[i] = &side{t: t, conn: pc, talk: talk, held: make(map[uint32]netip.Addr), owner: make(map[netip.Addr]uint32)}
	}
	for n := range times {
		k.start()
		recent := k.load(time.Duration(50+rand.IntN(200)) * time.Millisecond)
		k.start()
		for i, s := range k.sides {
			ask := recent[i]
			for client, a := range s.held {
				if n == times-1 || len(ask) < len(recent[i])+200 {
					ask[client] = a
				}
			}
			s.recall(ask)
		}
		k.kill()
	}
	t.Logf("%d kills, %d leases of IPv4, %d of IPv6 and %d of prefixes", 2*times, len(k.sides[0].held), len(k.sides[1].held), len(k.sides[2].held))
	if len(k.sides[0].held) == 0 || len(k.sides[1].held) == 0 || len(k.sides[2].held) == 0 {
		t.Error("nobody got a lease: the test proved nothing")
	}
}

// start starts the server, after killing the former one.
func (k *kills) start() {
	k.t.Helper()
	k.kill()
	k.process = exec.Command(os.Args[0])
	k.process.Env = append(os.Environ(), fmt.Sprintf("%s=%s %v %v %v", killEnv, k.path, k.sides[0].conn.LocalAddr(), k.sides[1].conn.LocalAddr(), k.sides[2].conn.LocalAddr()))
	out, err := k.process.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.process.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(k.kill)
	said := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var at [3]string
		if n, _ := fmt.Sscanf(lines.Text(), "serving %s %s %s", &at[0], &at[1], &at[2]); n == 3 {
			for i, a := range at {
				k.sides[i].server = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(a))
			}
			go io.Copy(io.Discard, out)
			return
		}
		said += lines.Text() + "\n"
	}
	k.t.Fatalf("the server did not start:\n%s", said)
}

func (k *kills) kill() {
	if k.process != nil {
		k.process.Process.Kill()
		k.process.Wait()
		k.process = nil
	}
}

// load gives new clients leases and kills the server in the middle of it. It returns who was acknowledged.
func (k *kills) load(d time.Duration) (recent [3]map[uint32]netip.Addr) {
	for i := range recent {
		recent[i] = make(map[uint32]netip.Addr)
	}
	done := make(chan struct{})
	for i, s := range k.sides {
		go func() {
			s.load(recent[i], time.Now().Add(d+100*time.Millisecond))
			done <- struct{}{}
		}()
	}
	time.Sleep(d)
	k.kill()
	for range k.sides {
		<-done
	}
	return recent
}

// load keeps 32 clients asking until a time.
func (s *side) load(recent map[uint32]netip.Addr, until time.Time) {
	next := func() {
		s.last++
		s.conn.WriteToUDP(s.talk.discover(s.last), s.server)
	}
	for range 32 {
		next()
	}
	buf := make([]byte, 2048)
	for s.conn.SetReadDeadline(until); ; {
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		client, offer, a := s.talk.read(buf[:n])
		if offer {
			s.conn.WriteToUDP(s.talk.request(client, buf[:n]), s.server)
			continue
		}
		if other, taken := s.owner[a]; taken && other != client {
			s.t.Errorf("%v was given to client %d and to client %d", a, other, client)
		}
		s.held[client], s.owner[a], recent[client] = a, client, a
		next()
	}
}

// recall lets clients ask for their leases again, and fails for each that does not get it.
func (s *side) recall(clients map[uint32]netip.Addr) {
	s.t.Helper()
	missing := maps.Clone(clients)
	buf := make([]byte, 2048)
	for try := 0; len(missing) > 0 && try < 6; try++ {
		sent := 0
		for client, a := range missing {
			s.conn.WriteToUDP(s.talk.recall(client, a), s.server)
			if sent++; sent == 64 { // what a small socket buffer holds
				break
			}
		}
		before := len(missing)
		for s.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); sent > 0; {
			n, err := s.conn.Read(buf)
			if err != nil {
				break
			}
			client, offer, a := s.talk.read(buf[:n])
			if want, asked := clients[client]; asked && !offer {
				if a != want {
					s.t.Errorf("client %d held %v, and is told %v", client, want, a)
				}
				delete(missing, client)
				sent--
			}
		}
		if len(missing) < before {
			try = -1
		}
	}
	for client, a := range missing {
		s.t.Errorf("%v of client %d is forgotten", a, client)
	}
}

type talk4 struct{}

func (talk4) message(client uint32, options string) []byte {
	b := make([]byte, 300)
	copy(b, []byte{1, 1, 6, 0})
	binary.BigEndian.PutUint32(b[4:], client)
	b[28] = 2
	binary.BigEndian.PutUint32(b[30:], client)
	copy(b[236:], "\x63\x82\x53\x63"+options+"\xff")
	return b
}

func (t talk4) discover(client uint32) []byte { return t.message(client, "\x35\x01\x01") }

func (t talk4) request(client uint32, offer []byte) []byte {
	return t.message(client, "\x35\x01\x03\x36\x04\x0a\x00\x00\x01\x32\x04"+string(offer[16:20]))
}

func (t talk4) recall(client uint32, a netip.Addr) []byte {
	return t.message(client, "\x35\x01\x03\x32\x04"+string(a.AsSlice()))
}

func (talk4) read(b []byte) (client uint32, offer bool, a netip.Addr) {
	return binary.BigEndian.Uint32(b[30:]), b[242] == 2, netip.AddrFrom4([4]byte(b[16:20]))
}

type talk6 struct{}

func (talk6) message(kind byte, client uint32, options []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{kind, 1, 2, 3, 0, 1, 0, 10, 0, 3, 0, 1, 2, 0}, client)
	return append(b, options...)
}

// ia is option 3 with an address, if there is one.
func (talk6) ia(a netip.Addr) []byte {
	if !a.IsValid() {
		return []byte{0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	}
	b := []byte{0, 3, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 24}
	return append(append(b, a.AsSlice()...), make([]byte, 8)...)
}

func (t talk6) discover(client uint32) []byte { return t.message(1, client, t.ia(netip.Addr{})) }

func (t talk6) request(client uint32, offer []byte) []byte {
	_, _, a := t.read(offer)
	m, err := dhcpv6.MessageFromBytes(offer)
	if err != nil {
		return nil
	}
	server := m.GetOneOption(dhcpv6.OptionServerID).ToBytes()
	b := append(t.ia(a), 0, 2, 0, byte(len(server)))
	return t.message(3, client, append(b, server...))
}

func (t talk6) recall(client uint32, a netip.Addr) []byte { return t.message(6, client, t.ia(a)) }

func (talk6) read(b []byte) (client uint32, offer bool, a netip.Addr) {
	m, err := dhcpv6.MessageFromBytes(b)
	if err != nil || m.Options.OneIANA() == nil {
		return 0, false, a
	}
	duid := m.Options.ClientID().ToBytes()
	for _, given := range m.Options.OneIANA().Options.Addresses() {
		if given.ValidLifetime > 0 {
			a, _ = netip.AddrFromSlice(given.IPv6Addr)
		}
	}
	return binary.BigEndian.Uint32(duid[6:]), m.MessageType == dhcpv6.MessageTypeAdvertise, a
}

// talkPrefix is talk6 of a router.
type talkPrefix struct{ talk6 }

func (t talkPrefix) discover(client uint32) []byte {
	return t.message(1, client, pdBytes(netip.Addr{}))
}

func (t talkPrefix) request(client uint32, offer []byte) []byte {
	_, _, a := t.read(offer)
	m, err := dhcpv6.MessageFromBytes(offer)
	if err != nil {
		return nil
	}
	server := m.GetOneOption(dhcpv6.OptionServerID).ToBytes()
	b := append(pdBytes(a), 0, 2, 0, byte(len(server)))
	return t.message(3, client, append(b, server...))
}

func (t talkPrefix) recall(client uint32, a netip.Addr) []byte {
	return t.message(6, client, pdBytes(a))
}

func (talkPrefix) read(b []byte) (client uint32, offer bool, a netip.Addr) {
	m, err := dhcpv6.MessageFromBytes(b)
	if err != nil {
		return 0, false, a
	}
	duid := m.Options.ClientID().ToBytes()
	for _, given := range slices.Concat(prefixesOf(m)...) {
		if given.ValidLifetime > 0 {
			a, _ = netip.AddrFromSlice(given.Prefix.IP)
		}
	}
	return binary.BigEndian.Uint32(duid[6:]), m.MessageType == dhcpv6.MessageTypeAdvertise, a
}
