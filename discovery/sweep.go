package discovery

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/ndp"
)

// Rates of a sweep in questions a second.
const (
	SlowRate = 10   // slow enough to go unnoticed
	FastRate = 1000 // a /24 in under a second
)

// MaxSweep is the most addresses that one sweep asks for. IPv6 prefixes with more are asked by
// multicast only.
const MaxSweep = 1 << 16

// SweepConfig says what to sweep.
type SweepConfig struct {
	// Conn is the interface, from [OpenPacket] with the source [Scan]. The caller closes it.
	// Required.
	Conn Conn
	// Prefixes are swept in order. Each must be a network that the interface has an address in, or
	// a part of one: nothing is asked outside of them.
	Prefixes []netip.Prefix
	// Rate is the most questions a second. Zero means SlowRate.
	Rate int
	// Wait is for how long answers are waited for after the last question, and half as long before
	// silent addresses are asked again. Zero means 600 ms.
	Wait time.Duration
	// Names asks who answered for its name, by multicast DNS, which takes half a second longer.
	Names bool
	// Sink receives each device that answers, once for each address and MAC and again with names,
	// from one goroutine. If nil, devices are discarded. A router with proxy ARP answers for every
	// address: a [Table] tells its answers from devices.
	Sink func(Observation)
	// Progress is called after each question, from one goroutine. If nil, progress is discarded.
	Progress func(SweepProgress)
}

// SweepProgress counts the questions and answers of a sweep.
type SweepProgress struct {
	Total int `json:"total"` // questions there are to be asked
	Done  int `json:"done"`  // asked, or answered before they were
	Found int `json:"found"` // addresses that answered, or that a router answered for
}

// sweepRounds is the number of times that a silent address is asked.
const sweepRounds = 2

// Sweep asks every address of some prefixes who has it: by ARP (RFC 826) in IPv4; in IPv6 by
// neighbour solicitation (RFC 4861) where the prefix is small, and by multicast echo (RFC 4443) in
// any. It returns when all answers are in; with ctx's error when that ends first, and then says how
// far it came.
func Sweep(ctx context.Context, cfg SweepConfig) (SweepProgress, error) {
	if cfg.Conn == nil {
		return SweepProgress{}, errors.New("discovery: SweepConfig needs a Conn; OpenPacket opens one")
	}
	if cfg.Rate < 0 || cfg.Wait < 0 {
		return SweepProgress{}, fmt.Errorf("discovery: a sweep at %d questions a second with a wait of %s never ends; leave them zero for the defaults", cfg.Rate, cfg.Wait)
	}
	s := &sweep{cfg: cfg, found: map[answer]bool{}, answered: map[netip.Addr]bool{}}
	if err := s.plan(); err != nil {
		return SweepProgress{}, err
	}
	// Ends the receiver, which waits in the Conn.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	received := make(chan error, 1)
	go func() { received <- s.receive(ctx) }()
	err := s.ask(ctx)
	cancel()
	return s.progress, errors.Join(err, <-received)
}

type answer struct {
	addr netip.Addr
	mac  MAC
}

type sweep struct {
	cfg     SweepConfig
	targets []target

	mu       sync.Mutex // guards the fields below
	found    map[answer]bool
	answered map[netip.Addr]bool
	progress SweepProgress
}

// A target is asked by one frame. It has no address when all devices are asked at once.
type target struct {
	addr  netip.Addr
	frame func(b []byte) ([]byte, error)
}

func (s *sweep) plan() error {
	iface := s.cfg.Conn.Interface()
	for _, p := range s.cfg.Prefixes {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("discovery: prefix %s cannot be swept; write an IPv4 or IPv6 network", p)
		}
		p = p.Masked()
		source, ok := ownAddr(iface, p)
		if !ok {
			return fmt.Errorf("discovery: %s has no address in %s, so it does not ask there", iface.Name, p)
		}
		free := p.Addr().BitLen() - p.Bits()
		small := 1<<min(free, 30) <= MaxSweep
		if p.Addr().Is4() && !small {
			return fmt.Errorf("discovery: %s has more than %d addresses; sweep a part of it", p, MaxSweep)
		}
		// In IPv6 a group reaches all devices, however large the prefix.
		if !p.Addr().Is4() {
			s.multicast(iface, source)
		}
		if small {
			s.each(iface, p, source)
		}
	}
	if len(s.targets) == 0 {
		return errors.New("discovery: there is nothing to sweep")
	}
	s.progress.Total = sweepRounds * len(s.targets)
	return nil
}

// ownAddr returns the interface's address in the network that a prefix is a part of.
func ownAddr(l Interface, p netip.Prefix) (netip.Addr, bool) {
	for _, own := range l.Addrs {
		if own.Masked().Contains(p.Addr()) && own.Bits() <= p.Bits() {
			return own.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// each adds every address that a device can have.
func (s *sweep) each(iface Interface, p netip.Prefix, source netip.Addr) {
	network, last := p.Addr(), lastAddr(p)
	for a := network; a.IsValid() && p.Contains(a); a = a.Next() {
		if a == source || a.Is4() && p.Bits() < 31 && (a == network || a == last) {
			continue
		}
		t := target{addr: a, frame: func(b []byte) ([]byte, error) { return arpQuestion(b, iface.MAC, source, a), nil }}
		if !a.Is4() {
			t.frame = func(b []byte) ([]byte, error) { return neighborQuestion(b, iface.MAC, source, a) }
		}
		s.targets = append(s.targets, t)
	}
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// multicast asks all IPv6 devices of the link: by an echo, and for those that do not answer echoes
// by an option that they must complain about (RFC 4443 section 3.4).
func (s *sweep) multicast(iface Interface, source netip.Addr) {
	s.targets = append(s.targets,
		target{frame: func(b []byte) ([]byte, error) { return echoQuestion(b, iface.MAC, source, false), nil }},
		target{frame: func(b []byte) ([]byte, error) { return echoQuestion(b, iface.MAC, source, true), nil }})
}

// ask sends the questions and waits for the last answers.
func (s *sweep) ask(ctx context.Context) error {
	interval := time.Second / time.Duration(cmp.Or(s.cfg.Rate, SlowRate))
	start, sent := time.Now(), 0
	frame := make([]byte, 0, 128)
	wait := cmp.Or(s.cfg.Wait, 600*time.Millisecond)
	for round := range sweepRounds {
		for i := range s.targets {
			t := &s.targets[i]
			if s.settled(t) {
				s.count()
				continue
			}
			// Times are from the start, so that a slow Send does not lower the rate.
			if err := sleep(ctx, time.Until(start.Add(time.Duration(sent)*interval))); err != nil {
				return err
			}
			sent++
			question, err := t.frame(frame[:0])
			if err == nil {
				err = s.cfg.Conn.Send(question)
			}
			if err != nil {
				return err
			}
			s.count()
		}
		// The last address has time to answer before the next round asks it again.
		if err := sleep(ctx, wait*time.Duration(round+1)/sweepRounds); err != nil {
			return err
		}
	}
	if !s.cfg.Names {
		return nil
	}
	return s.askNames(ctx, interval)
}

// nameWait is for how long names are waited for: responders may take their time (RFC 6762 section
// 6).
const nameWait = 500 * time.Millisecond

// askNames asks all that answered for their names.
func (s *sweep) askNames(ctx context.Context, interval time.Duration) error {
	s.mu.Lock()
	answered := slices.SortedFunc(maps.Keys(s.answered), netip.Addr.Compare)
	s.mu.Unlock()
	iface, start := s.cfg.Conn.Interface(), time.Now()
	for i, a := range answered {
		source, ok := ownAddr(iface, netip.PrefixFrom(a, a.BitLen()))
		if !ok {
			continue
		}
		if err := sleep(ctx, time.Until(start.Add(time.Duration(i)*interval))); err != nil {
			return err
		}
		if err := s.cfg.Conn.Send(mdnsQuestion(nil, iface.MAC, source, a)); err != nil {
			return err
		}
	}
	return sleep(ctx, nameWait)
}

// sleep waits unless there is little to wait for: short waits are made up for by the next one.
func sleep(ctx context.Context, d time.Duration) error {
	if d < 2*time.Millisecond {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sweep) settled(t *target) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered[t.addr] && t.addr.IsValid()
}

func (s *sweep) count() {
	s.mu.Lock()
	s.progress.Done++
	p := s.progress
	s.mu.Unlock()
	if s.cfg.Progress != nil {
		s.cfg.Progress(p)
	}
}

// receive takes answers until ctx ends.
func (s *sweep) receive(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.cfg.Conn.Close() })
	defer stop()
	for {
		err := s.cfg.Conn.Receive(func(frame []byte, vid uint16) {
			f, err := ParseFrame(frame, vid)
			// Tagged frames show devices of other networks.
			if err != nil || f.VID != 0 {
				return // on another link: nothing was asked there
			}
			if classify(f) == MDNS {
				s.takeNames(f)
			} else if seen, ok := decodeAnswer(f); ok {
				s.take(seen)
			}
		})
		switch {
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return err
		}
	}
}

// takeNames passes on the names that multicast DNS gives to devices that answered.
func (s *sweep) takeNames(f Frame) {
	all, _, err := decodeMDNS(f, nil)
	if err != nil || s.cfg.Sink == nil {
		return
	}
	for _, seen := range all {
		s.mu.Lock()
		known := s.found[answer{seen.Addr, seen.MAC}]
		s.mu.Unlock()
		if known && seen.Info != nil && len(seen.Info.Names) > 0 {
			s.cfg.Sink(seen)
		}
	}
}

func (s *sweep) take(seen Observation) {
	inside := false
	for _, p := range s.cfg.Prefixes {
		inside = inside || p.Contains(seen.Addr)
	}
	a := answer{seen.Addr, seen.MAC}
	s.mu.Lock()
	if !inside || s.found[a] {
		s.mu.Unlock()
		return
	}
	s.found[a] = true
	if !s.answered[seen.Addr] {
		s.answered[seen.Addr] = true
		s.progress.Found++
	}
	s.mu.Unlock()
	if s.cfg.Sink != nil {
		s.cfg.Sink(seen)
	}
}

// decodeAnswer reads any packet that shows a device.
func decodeAnswer(f Frame) (Observation, bool) {
	var s Observation
	var err error
	switch f.Type {
	case etherARP:
		s, err = decodeARP(f)
	case etherIPv6:
		d, ok := ipPacket(f)
		if !ok || d.proto != protoICMPv6 || len(d.body) < 8 {
			return s, false
		}
		if d.body[0] == icmpEchoReply || d.body[0] == icmpParameterProblem {
			// The answer is to a question that stays on the link: a router does not pass it on.
			return Observation{Addr: d.src, MAC: f.Src, Source: Scan, Own: true}, usable(d.src) && f.Src.Unicast()
		}
		s, err = decodeNDP(f)
	default:
		return s, false
	}
	s.Source, s.Info = Scan, nil
	return s, err == nil && !s.Tentative
}

// neighborQuestion appends the frame of a neighbor solicitation (RFC 4861 section 4.3).
func neighborQuestion(b []byte, from MAC, source, addr netip.Addr) ([]byte, error) {
	group, err := ndp.SolicitedNodeMulticast(addr)
	if err != nil {
		return nil, err
	}
	body, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{
		TargetAddress: addr,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: from[:]}},
	}, source, group)
	if err != nil {
		return nil, err
	}
	return ipv6Frame(b, from, source.As16(), group.As16(), protoICMPv6, body), nil
}

// echoQuestion appends the frame of an echo to all nodes, behind an unknown option if odd is set.
func echoQuestion(b []byte, from MAC, source netip.Addr, odd bool) []byte {
	var options []byte
	if odd {
		// Type 0x80 | experimental (RFC 4727): complain even about a multicast packet.
		options = []byte{protoICMPv6, 0, 0x9e, 4, 0, 0, 0, 0}
	}
	return icmpFrame(b, from, source, allNodes, options, []byte{icmpEchoRequest, 0, 0, 0, 'm', 's', 0, 1})
}

var allNodes = netip.MustParseAddr("ff02::1")

// icmpFrame appends an ICMPv6 packet to a group. options is a destination options header or
// nothing.
func icmpFrame(b []byte, from MAC, source, group netip.Addr, options, body []byte) []byte {
	src, dst := source.As16(), group.As16()
	binary.BigEndian.PutUint16(body[2:], checksum(src, dst, protoICMPv6, body))
	if options != nil {
		return ipv6Frame(b, from, src, dst, protoDstOpt, append(options, body...))
	}
	return ipv6Frame(b, from, src, dst, protoICMPv6, body)
}

// checksum returns the sum of a transport protocol with its pseudo-header (RFC 8200 section 8.1).
func checksum(src, dst [16]byte, proto byte, body []byte) uint16 {
	sum := uint32(len(body)) + uint32(proto)
	sum = uint32(sum16(sum, src[:]))
	sum = uint32(sum16(sum, dst[:]))
	return ^sum16(sum, body)
}

// sum16 adds octets in pairs, in ones' complement (RFC 1071).
func sum16(sum uint32, b []byte) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
