package bootlog

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// DefaultPort is the UDP port for what machines log.
const DefaultPort = 5247

const (
	// maxPacket bounds a packet: syslog has at most 2 KiB over UDP (RFC 5426 section 3.2), and
	// netconsole 1,000 bytes.
	maxPacket = 2048
	// maxRest bounds the beginning of a line whose end has not arrived.
	maxRest = 1024
	// batchEvery is the time between two batches of a machine. Each is a write in the region.
	batchEvery = 2 * time.Second
	// defaultMachines bounds the machines that are heard at a time, and rateSources the addresses
	// that are known by their rate.
	defaultMachines = 4096
	rateSources     = 8192
)

// packetRate bounds what is read of one source: a kernel logs some 1,000 lines within a second, and
// a system that starts some hundreds.
var packetRate = bounds.Rate{Burst: 3000, Every: 5 * time.Millisecond}

// Config configures a Server. Identify and Batches are required.
type Config struct {
	// Identify returns the machine that has an address. Packets of other addresses are dropped. It
	// must not block.
	Identify func(netip.Addr) (net.HardwareAddr, bool)
	// Batches receives what machines logged, one call at a time. It must not block long.
	Batches func(Batch)
	// Machines bounds the machines that are heard at a time. Zero means 4,096.
	Machines int
}

// Batch holds lines that a machine logged, the oldest first.
type Batch struct {
	MAC   net.HardwareAddr
	Addr  netip.Addr // of the last line
	Time  time.Time  // when it arrived
	Lines []string   // at most 4 KiB, see Tail
}

// Server collects the lines of booting machines. Create it with [New].
type Server struct {
	cfg   Config
	rates *bounds.Buckets[netip.Prefix]

	mu    sync.Mutex
	boots map[string]*boot // by MAC

	taken, dropped atomic.Uint64
}

// boot holds what a booting machine logged since its last batch.
type boot struct {
	until time.Time
	lines []string
	size  int
	rest  string // the beginning of a line
	addr  netip.Addr
	at    time.Time
}

// New returns a server that hears no machine yet.
func New(cfg Config) (*Server, error) {
	if cfg.Identify == nil || cfg.Batches == nil {
		return nil, errors.New("bootlog: Config.Identify and Config.Batches are required")
	}
	if cfg.Machines < 0 {
		return nil, errors.New("bootlog: Config.Machines is negative, want 1 or more")
	}
	if cfg.Machines == 0 {
		cfg.Machines = defaultMachines
	}
	return &Server{cfg: cfg, rates: bounds.NewBuckets[netip.Prefix](packetRate, rateSources), boots: make(map[string]*boot)}, nil
}

// Stats counts packets.
type Stats struct {
	Taken   uint64 // of booting machines
	Dropped uint64 // of others, and beyond the rate of a source
}

// Stats returns the counts since New.
func (s *Server) Stats() Stats { return Stats{s.taken.Load(), s.dropped.Load()} }

// Follow hears a machine until a time, which a later call may move.
func (s *Server) Follow(mac net.HardwareAddr, until time.Time) {
	if len(mac) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boots[string(mac)]; b != nil {
		b.until = until
		return
	}
	if len(s.boots) >= s.cfg.Machines {
		s.forget()
	}
	s.boots[string(mac)] = &boot{until: until}
}

// forget removes the machine that is heard for the shortest time. Its caller holds mu.
func (s *Server) forget() {
	var first string
	for mac, b := range s.boots {
		if first == "" || b.until.Before(s.boots[first].until) {
			first = mac
		}
	}
	delete(s.boots, first)
}

// Handle takes a packet from an address and reports whether a booting machine sent it.
func (s *Server) Handle(packet []byte, from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	if !s.rates.Take(bounds.Source(from)) {
		s.dropped.Add(1)
		return false
	}
	mac, ok := s.cfg.Identify(from)
	if !ok {
		s.dropped.Add(1)
		return false
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.boots[string(mac)]
	if b == nil || !b.until.After(now) {
		s.dropped.Add(1)
		return false
	}
	s.taken.Add(1)
	b.addr, b.at = from, now
	b.take(packet[:min(len(packet), maxPacket)])
	return true
}

// take adds the lines of a packet.
func (b *boot) take(packet []byte) {
	text := body(packet)
	// Netconsole sends a line in pieces; a packet of syslog is whole and has no line break at its end.
	if _, syslog := cutPriority(string(packet[:min(len(packet), 5)])); !syslog {
		text, b.rest = b.rest+text, ""
		if end := strings.LastIndexByte(text, '\n'); len(text)-end-1 <= maxRest {
			text, b.rest = text[:end+1], text[end+1:]
		}
	}
	b.add(split(text)...)
}

// add keeps lines in bounded memory. Tail runs for twice the size that is kept, so that a line
// costs the same however many there are.
func (b *boot) add(lines ...string) {
	for _, line := range lines {
		b.lines = append(b.lines, line)
		b.size += len(line) + 1
	}
	if b.size <= 2*maxTail {
		return
	}
	b.lines = Tail(b.lines)
	b.size = 0
	for _, line := range b.lines {
		b.size += len(line) + 1
	}
}

// Run hands out batches until ctx ends, and then the last ones.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(batchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.hand()
		case <-ctx.Done():
			s.hand()
			return nil
		}
	}
}

// hand hands out what machines logged, and forgets machines whose boots are over.
func (s *Server) hand() {
	now := time.Now()
	var batches []Batch
	s.mu.Lock()
	for _, mac := range slices.Sorted(maps.Keys(s.boots)) {
		b := s.boots[mac]
		b.add(split(b.rest)...)
		b.rest = ""
		if len(b.lines) > 0 {
			batches = append(batches, Batch{net.HardwareAddr(mac), b.addr, b.at, Tail(b.lines)})
		}
		b.lines, b.size = nil, 0
		if !b.until.After(now) {
			delete(s.boots, mac)
		}
	}
	s.mu.Unlock()
	for _, b := range batches {
		s.cfg.Batches(b)
	}
}

// Serve takes packets until ctx ends; it closes conn. It returns nil when ctx has ended, else the
// error of the socket.
func (s *Server) Serve(ctx context.Context, conn net.PacketConn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	buf := make([]byte, maxPacket)
	for {
		n, from, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if udp, ok := from.(*net.UDPAddr); ok {
			s.Handle(buf[:n], udp.AddrPort().Addr())
		}
	}
}
