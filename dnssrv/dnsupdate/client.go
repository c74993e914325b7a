package dnsupdate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/internal/bounds"
)

// Config configures a client.
type Config struct {
	// Server is the address of the primary server, host:port.
	Server string
	// Key signs the updates (TSIG). If zero, they are not signed.
	Key dnssrv.Key
	// Zones are the zones of the server that the client may change, forward and reverse ones. Names
	// in none of them are left alone.
	Zones []string
	// TTL is the time to live in seconds of records of hosts that have none; 0 = 300.
	TTL uint32
	// Replace takes names of other clients and of administrators over. If false, they are left.
	Replace bool
	// MaxPending bounds the names that wait to be sent; 0 = 65,536. Further ones are dropped.
	MaxPending int
	// Log receives failures. If nil, they are discarded.
	Log *slog.Logger
}

// Host is an address of a client, and its name. At least one of MAC, ClientID and DUID is needed,
// the same for Set and Remove.
type Host struct {
	Name     string // fully qualified; case and a final dot do not matter
	Addr     netip.Addr
	TTL      uint32 // in seconds; 0 = Config.TTL
	MAC      net.HardwareAddr
	ClientID []byte // option 61 of DHCPv4 as it was sent
	DUID     []byte // option 1 of DHCPv6
}

// Stats are counts since the start.
type Stats struct {
	Pending   int    // names that wait to be sent
	Sent      uint64 // names that are at the server as they should be
	Conflicts uint64 // names of others that were left as they are
	Dropped   uint64 // names that were given up: too many wait, or the server refuses them
	Failures  uint64 // attempts without a useful answer
}

const (
	defaultTTL     = 300
	defaultPending = 1 << 16
	timeout        = 5 * time.Second
	firstPause     = time.Second
	lastPause      = 5 * time.Minute
	// maxAttempts bounds the answers other than success that one name gets; silence is not counted,
	// as it says nothing about the name.
	maxAttempts = 8
)

// logLines bounds the lines about names that fail.
var logLines = bounds.Rate{Burst: 20, Every: 10 * time.Second}

// A Client sends updates to one server.
type Client struct {
	cfg      Config
	zones    []string // canonical, longest first
	log      *bounds.Log
	exchange func(ctx context.Context, m *dns.Msg) (*dns.Msg, error)
	wake     chan struct{}

	mu      sync.Mutex // guards the fields below
	pending map[key]*job
	order   []*job // first to be sent first
	stats   Stats
}

// key identifies what only the last state is kept of.
type key struct {
	name  string // canonical
	qtype uint16
	dhcid string // "" for reverse names
}

// job holds the wanted state of a name.
type job struct {
	key
	zone     string
	ttl      uint32
	target   netip.Addr   // of the A or AAAA record; not valid = there is to be none
	gone     []netip.Addr // addresses to remove
	ptr      string       // data of the PTR record; "" = there is to be none
	notPTR   string       // data of the PTR record to remove
	version  uint64       // counts changes, so that a change while it is sent is noticed
	attempts int
}

// New returns a client that sends nothing until Run. The error names the field.
func New(cfg Config) (*Client, error) {
	if _, _, err := net.SplitHostPort(cfg.Server); err != nil {
		return nil, fmt.Errorf("dnsupdate: Server: %q is not host:port", cfg.Server)
	}
	if cfg.Key != (dnssrv.Key{}) {
		if err := cfg.Key.Check(); err != nil {
			return nil, fmt.Errorf("dnsupdate: Key: %w", err)
		}
	}
	if len(cfg.Zones) == 0 {
		return nil, errors.New("dnsupdate: Zones: name at least one zone that the client may change")
	}
	c := &Client{cfg: cfg, wake: make(chan struct{}, 1), pending: make(map[key]*job)}
	for _, z := range cfg.Zones {
		name := dns.CanonicalName(z)
		if _, ok := dns.IsDomainName(name); !ok || name == "." {
			return nil, fmt.Errorf("dnsupdate: Zones: %q is not a domain name", z)
		}
		c.zones = append(c.zones, name)
	}
	slices.SortFunc(c.zones, func(a, b string) int { return cmp.Compare(dns.CountLabel(b), dns.CountLabel(a)) })
	c.cfg.TTL, c.cfg.MaxPending = cmp.Or(cfg.TTL, defaultTTL), cmp.Or(max(cfg.MaxPending, 0), defaultPending)
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c.log = bounds.NewLog(log, logLines)
	c.exchange = c.exchangeUDP
	return c, nil
}

// Set makes the host's name lead to its address, and the address's name to it.
func (c *Client) Set(h Host) { c.change(h, true) }

// Remove removes the address from the host's name, and the address's name. Where the name leads to
// another address by now, that stays.
func (c *Client) Remove(h Host) { c.change(h, false) }

// Stats returns the counts.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Pending = len(c.pending)
	return s
}

func (c *Client) zoneOf(name string) string {
	for _, z := range c.zones {
		if dns.IsSubDomain(z, name) {
			return z
		}
	}
	return ""
}

func (c *Client) change(h Host, set bool) {
	h = h.clone()
	h.Addr = h.Addr.Unmap()
	name, id := dns.CanonicalName(h.Name), h.dhcid()
	if _, ok := dns.IsDomainName(name); !ok || strings.HasPrefix(name, "*") || !h.Addr.IsValid() || id == "" {
		return
	}
	c.mu.Lock()
	if zone := c.zoneOf(name); zone != "" && zone != name {
		qtype := dns.TypeA
		if h.Addr.Is6() {
			qtype = dns.TypeAAAA
		}
		if j := c.job(key{name, qtype, id}, zone); j != nil {
			j.forward(h, set)
			j.ttl = cmp.Or(h.TTL, c.cfg.TTL)
		}
	}
	if reverse, err := dns.ReverseAddr(h.Addr.WithZone("").String()); err == nil && c.zoneOf(reverse) != "" {
		if j := c.job(key{name: reverse, qtype: dns.TypePTR}, c.zoneOf(reverse)); j != nil {
			j.reverse(name, set)
			j.ttl = cmp.Or(h.TTL, c.cfg.TTL)
		}
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default: // Run is awake already
	}
}

// job returns what is pending of a key, made if there is nothing; nil = too much is pending. The
// caller holds the lock.
func (c *Client) job(k key, zone string) *job {
	j := c.pending[k]
	if j == nil {
		if len(c.pending) >= c.cfg.MaxPending {
			c.stats.Dropped++
			c.log.Warn("DNS update dropped: too many wait", "host", k.name)
			return nil
		}
		j = &job{key: k, zone: zone}
		c.pending[k] = j
		c.order = append(c.order, j)
	}
	j.version++
	j.attempts = 0
	return j
}

// maxGone bounds the addresses that one update removes; a client that had more leaves old ones to
// its next Set, which replaces all.
const maxGone = 16

func (j *job) forward(h Host, set bool) {
	if set {
		j.target = h.Addr
		return
	}
	if j.target == h.Addr {
		j.target = netip.Addr{}
	}
	if !slices.Contains(j.gone, h.Addr) && len(j.gone) < maxGone {
		j.gone = append(j.gone, h.Addr)
	}
}

func (j *job) reverse(name string, set bool) {
	switch {
	case set:
		j.ptr, j.notPTR = name, ""
	case j.ptr == name || j.ptr == "":
		j.ptr, j.notPTR = "", name
	}
}

// Run sends updates until ctx ends, and then returns nil. What is pending then stays so.
func (c *Client) Run(ctx context.Context) error {
	pause := time.Duration(0)
	for {
		c.mu.Lock()
		var next *job
		var snapshot job
		if len(c.order) > 0 {
			next = c.order[0]
			snapshot = *next
			snapshot.gone = slices.Clone(next.gone)
		}
		c.mu.Unlock()
		if next == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-c.wake:
				continue
			}
		}
		result, err := c.send(ctx, &snapshot)
		if ctx.Err() != nil {
			return nil
		}
		if c.settle(next, snapshot.version, result, err) {
			pause = 0
			continue
		}
		if pause = min(max(2*pause, firstPause), lastPause); pause == firstPause {
			c.log.Warn("DNS update failed", "server", c.cfg.Server, "zone", snapshot.zone, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// result says what became of a job.
type result uint8

const (
	done     result = iota + 1
	conflict        // the name is another's
	unheard         // no answer
	refused         // an answer that is no success
)

// settle removes a job that is done, or puts it last; false = the server needs a pause.
func (c *Client) settle(j *job, version uint64, r result, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.order[1:]
	switch r {
	case unheard:
		c.stats.Failures++
		return false
	case refused:
		c.stats.Failures++
		if j.attempts++; j.attempts < maxAttempts {
			c.order = append(rest, j) // others may be luckier
			return false
		}
		c.stats.Dropped++
		c.log.Warn("DNS update given up", "host", j.name, "server", c.cfg.Server, "err", err)
	case conflict:
		c.stats.Conflicts++
		c.log.Warn("name left to its owner", "host", j.name, "server", c.cfg.Server)
	case done:
		c.stats.Sent++
	}
	if j.version != version { // it changed meanwhile
		c.order = append(rest, j)
		return true
	}
	delete(c.pending, j.key)
	c.order = rest
	return true
}
