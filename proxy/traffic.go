package proxy

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Stats holds the counters of a proxy since it was made. Sizes are in bytes.
type Stats struct {
	Since    time.Time `json:"since"`
	Requests uint64    `json:"requests"` // all that were answered
	Refused  uint64    `json:"refused"`  // of them, what the policy does not allow
	Failed   uint64    `json:"failed"`   // of them, with an origin that did not answer well
	Tunnels  uint64    `json:"tunnels"`  // of them, CONNECT
	Bytes    int64     `json:"bytes"`    // of bodies, and through tunnels, to clients
	// Cache is nil for a proxy without one.
	Cache *CacheStats `json:"cache,omitempty"`
	// Subnets are the networks that the policy allows or allowed, sorted.
	Subnets []SubnetStats `json:"subnets"`
	// Parents lists the policy's parents in their order.
	Parents []ParentStats `json:"parents,omitempty"`
	// Objects and Clients are the busiest ones by bytes, at most 256 of each. When there are more,
	// a new one takes over the counts of the least, so theirs are upper bounds.
	Objects []Busy `json:"objects"`
	Clients []Busy `json:"clients"`
}

// SubnetStats holds the counters of the clients of one network.
type SubnetStats struct {
	Prefix   netip.Prefix `json:"prefix"`
	Requests uint64       `json:"requests"`
	Hits     uint64       `json:"hits"`  // answered without a fetch from the origin of their own
	Bytes    int64        `json:"bytes"` // to clients
	Saved    int64        `json:"saved"` // of them, not fetched for this client
}

// ParentStats is the state of a parent proxy.
type ParentStats struct {
	Address string `json:"address"` // host and port
	Well    bool   `json:"well"`    // it could be connected to when that was last tried
}

// Busy is an object, named by its URL, or a client, named by its address.
type Busy struct {
	Name     string `json:"name"`
	Requests uint64 `json:"requests"`
	Hits     uint64 `json:"hits"`
	Bytes    int64  `json:"bytes"`
}

// Stats returns the counters.
func (p *Proxy) Stats() Stats {
	s := p.traffic.snapshot()
	if p.cache != nil {
		c := p.cache.Stats()
		s.Cache = &c
	}
	for _, parent := range p.policy.Load().parentURLs() {
		s.Parents = append(s.Parents, ParentStats{Address: addressOf(parent), Well: p.health.well(addressOf(parent))})
	}
	return s
}

// traffic counts requests.
type traffic struct {
	mu               sync.Mutex // guards the fields below
	total            Stats      // without lists
	subnets          map[netip.Prefix]*SubnetStats
	objects, clients busiest
}

func (t *traffic) begin(now time.Time) {
	t.total.Since = now
	t.subnets = make(map[netip.Prefix]*SubnetStats)
}

// spares reports whether an answer cost no fetch of its own.
func (a *Access) spares() bool {
	return a.Cache == "hit" || strings.HasPrefix(a.Cache, "fwd=stale") || strings.HasSuffix(a.Cache, "; collapsed")
}

func (t *traffic) count(policy *Policy, a *Access) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total.Requests++
	t.total.Bytes += a.Bytes
	switch {
	case a.Status == http.StatusForbidden && a.Cache == "":
		t.total.Refused++
	case a.Status == 0 || a.Status >= 500:
		t.total.Failed++
	}
	if a.Method == http.MethodConnect {
		t.total.Tunnels++
	}
	var hit uint64
	if a.spares() {
		hit = 1
	}
	if i := slices.IndexFunc(policy.Allow, func(p netip.Prefix) bool { return p.Contains(a.Client) }); i >= 0 {
		t.subnet(policy.Allow[i]).add(hit, a.Bytes)
		t.clients.add(a.Client.String(), hit, a.Bytes)
		t.objects.add(a.URL, hit, a.Bytes)
	}
}

// maxSubnets bounds the networks that are remembered after they left the policy.
const maxSubnets = 4096

func (t *traffic) subnet(p netip.Prefix) *SubnetStats {
	s := t.subnets[p]
	if s == nil {
		if len(t.subnets) >= maxSubnets {
			clear(t.subnets)
		}
		s = &SubnetStats{Prefix: p}
		t.subnets[p] = s
	}
	return s
}

func (s *SubnetStats) add(hit uint64, bytes int64) {
	s.Requests++
	s.Hits += hit
	s.Bytes += bytes
	s.Saved += int64(hit) * bytes
}

func (t *traffic) snapshot() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.total
	s.Subnets = make([]SubnetStats, 0, len(t.subnets))
	for _, n := range t.subnets {
		s.Subnets = append(s.Subnets, *n)
	}
	slices.SortFunc(s.Subnets, func(a, b SubnetStats) int { return a.Prefix.Compare(b.Prefix) })
	s.Objects, s.Clients = t.objects.sorted(), t.clients.sorted()
	return s
}

// busiest keeps the names with most bytes in bounded memory ("Efficient computation of frequent and
// top-k elements in data streams", 2005). The zero value is empty.
type busiest struct {
	list []Busy
	at   map[string]int
}

// maxBusy bounds the names that are counted separately, maxName the length of one.
const (
	maxBusy = 256
	maxName = 1024
)

func (b *busiest) add(name string, hit uint64, bytes int64) {
	name = name[:min(len(name), maxName)]
	i, ok := b.at[name]
	switch {
	case ok:
	case len(b.list) < maxBusy:
		if b.at == nil {
			b.at = make(map[string]int)
		}
		i = len(b.list)
		b.list = append(b.list, Busy{Name: strings.Clone(name)})
		b.at[b.list[i].Name] = i
	default:
		for j := range b.list {
			if b.list[j].Bytes < b.list[i].Bytes {
				i = j
			}
		}
		delete(b.at, b.list[i].Name)
		b.list[i].Name = strings.Clone(name)
		b.at[b.list[i].Name] = i
	}
	e := &b.list[i]
	e.Requests++
	e.Hits += hit
	e.Bytes += bytes
}

func (b *busiest) sorted() []Busy {
	list := append([]Busy{}, b.list...)
	slices.SortFunc(list, func(a, b Busy) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name)) })
	return list
}
