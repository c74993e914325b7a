package dnssrv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// Forwarding says for whom questions outside of the zones are asked elsewhere.
type Forwarding struct {
	// Servers are recursive resolvers; of those that answer, the fastest is asked. None means that
	// nothing is forwarded but questions in Domains.
	Servers []netip.AddrPort `json:"servers,omitempty"`
	// Allow lists the clients' networks. If empty no client is allowed, so that a server is never
	// open by accident.
	Allow []netip.Prefix `json:"allow,omitempty"`
	// Domains have resolvers of their own. The longest that holds a name decides.
	Domains []DomainForwarding `json:"domains,omitempty"`
	// TLSName makes Servers be asked over TLS (RFC 7858): their certificates must be for this name.
	// Empty means UDP, and TCP for what does not fit.
	TLSName string `json:"tls_name,omitempty"`
	// Validation says what DNSSEC is worth here. Empty means ValidationAuto.
	Validation Validation `json:"validation,omitempty"`
}

// Validation selects how upstreams check answers against their signatures. This server only makes
// sure that they do, or that they do not.
type Validation string

// The ways of validation.
const (
	// ValidationAuto uses every upstream. One that validates says so with the AD bit, which is
	// passed on to clients that ask for it.
	ValidationAuto Validation = "auto"
	// ValidationYes uses only upstreams that have proven to validate, by the AD bit in an answer
	// about the root. Names in Domains are not concerned: their servers are often not resolvers,
	// and their zones not in the public tree.
	ValidationYes Validation = "yes"
	// ValidationNo asks upstreams not to validate (the CD bit), and passes no AD bit on.
	ValidationNo Validation = "no"
)

// String is for logs: servers and networks, then what else is set.
func (f Forwarding) String() string {
	text := fmt.Sprint("{", f.Servers, " ", f.Allow)
	if len(f.Domains) > 0 {
		text += fmt.Sprint(" ", f.Domains)
	}
	if f.TLSName != "" {
		text += " tls " + f.TLSName
	}
	return text + "}"
}

// DomainForwarding sends questions about a domain, and names below it, to resolvers or servers of
// its own.
type DomainForwarding struct {
	Name    string           `json:"name"`
	Servers []netip.AddrPort `json:"servers"`
}

// SetForwarding replaces the forwarding rules; questions in progress finish by the old ones. An
// error names the entry that is not usable and leaves the rules as they were. What was learned
// about answers and servers is kept where it still holds.
func (s *Server) SetForwarding(f Forwarding) error {
	old := s.forwarding.Load()
	next, err := newForwarder(f, old, environment{s.log, s.roots})
	if err != nil {
		return err
	}
	s.forwarding.Store(next)
	return nil
}

// A forwarder is one state of the rules.
type forwarder struct {
	conf    Forwarding
	servers group
	domains map[string]group
	allow   networks
	cache   *cache
	counts  *cacheCounts
	leaky   bool // asks upstreams about special names too
}

func newForwarder(f Forwarding, old *forwarder, env environment) (*forwarder, error) {
	next := &forwarder{conf: f, domains: map[string]group{}, counts: old.counts, leaky: old.leaky}
	known := old.upstreams()
	var err error
	if next.servers, err = newGroup(f.Servers, f.TLSName, env, known); err != nil {
		return nil, err
	}
	for _, d := range f.Domains {
		name, err := canonical(d.Name)
		if err != nil {
			return nil, err
		}
		if len(d.Servers) == 0 {
			return nil, fmt.Errorf("dnssrv: forwarding of %s needs a server", d.Name)
		}
		if next.domains[name], err = newGroup(d.Servers, "", environment{log: env.log}, known); err != nil {
			return nil, err
		}
	}
	if next.allow, err = newNetworks(f.Allow); err != nil {
		return nil, err
	}
	next.cache = old.cache
	if next.cache == nil || !sameServers(f, old.conf) {
		next.cache = newCache()
	}
	switch f.Validation {
	case "", ValidationAuto, ValidationYes, ValidationNo:
	default:
		return nil, fmt.Errorf("dnssrv: validation %q is none of auto, yes and no", f.Validation)
	}
	next.conf.Servers, next.conf.Domains = slices.Clone(f.Servers), slices.Clone(f.Domains)
	return next, nil
}

func sameServers(a, b Forwarding) bool {
	a.Allow, b.Allow = nil, nil
	return reflect.DeepEqual(a, b)
}

// upstreams are all servers by address and name.
func (f *forwarder) upstreams() map[upstreamKey]*upstream {
	known := map[upstreamKey]*upstream{}
	for g := range maps.Values(f.domains) {
		for _, u := range g {
			known[u.key] = u
		}
	}
	for _, u := range f.servers {
		known[u.key] = u
	}
	return known
}

func (f *forwarder) allows(client netip.Addr) bool {
	return (len(f.servers) > 0 || len(f.domains) > 0) && f.allow.contains(client)
}

// groupOf returns the upstreams for a canonical name, which may be none, and whether the name is in
// one of Domains.
func (f *forwarder) groupOf(name string) (g group, own bool) {
	if len(f.domains) > 0 {
		for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
			if g := f.domains[name[off:]]; g != nil {
				return g, true
			}
		}
	}
	return f.servers, false
}

// staleWait bounds the wait for an answer while an old one exists: clients give up soon after (RFC
// 8767 section 5).
const staleWait = 1800 * time.Millisecond

// forward answers into m: special names by itself, others from the cache or a server; when none
// answers, with what the cache had until lately, and else with SERVFAIL.
func (f *forwarder) forward(ctx context.Context, q, m *dns.Msg) {
	if f.answerSpecial(m) {
		return
	}
	k := newKey(q)
	have := f.cache.get(k.bytes())
	e, err := have, error(nil)
	counted := &f.counts.hits
	if e == nil || !e.fresh() {
		if have != nil {
			var enough context.CancelFunc
			ctx, enough = context.WithTimeout(ctx, staleWait)
			defer enough()
		}
		e, err = f.fetch(ctx, k)
		counted = &f.counts.misses
	}
	switch {
	case err != nil && have != nil:
		e, counted = have, &f.counts.stale
	case err != nil:
		e, counted = f.cache.failure(k), &f.counts.failed
	}
	counted.Add(1)
	if e.reply(m) != nil {
		m.Rcode = dns.RcodeServerFailure
	}
	m.AuthenticatedData = m.AuthenticatedData && (k.do || q.AuthenticatedData)
}

// errNoServer is the error when there is no upstream.
var errNoServer = errors.New("dnssrv: no server to forward to")

// fetch asks a server and keeps the answer. Equal questions that come meanwhile wait for the same
// answer.
func (f *forwarder) fetch(ctx context.Context, k key) (*entry, error) {
	return f.cache.once(ctx, k, func() (*entry, error) {
		ask := new(dns.Msg)
		ask.SetQuestion(k.name, k.qtype)
		ask.CheckingDisabled, ask.AuthenticatedData = k.cd || f.conf.Validation == ValidationNo, true
		ask.SetEdns0(maxUDP, k.do)
		who, own := f.groupOf(k.name)
		if f.conf.Validation == ValidationYes && !own {
			who = who.validating(ctx)
		}
		answer, err := who.ask(ctx, ask)
		if err != nil {
			return nil, err
		}
		if f.conf.Validation == ValidationNo {
			answer.AuthenticatedData = false
		}
		return newEntry(k, answer)
	})
}

// networks are in order and do not overlap.
type networks []struct{ from, to netip.Addr }

func newNetworks(prefixes []netip.Prefix) (networks, error) {
	sorted := slices.Clone(prefixes)
	for i, p := range sorted {
		if !p.IsValid() {
			return nil, errors.New("dnssrv: forwarding: an allowed network is not a valid prefix")
		}
		sorted[i] = p.Masked()
	}
	slices.SortFunc(sorted, netip.Prefix.Compare) // an enclosing network sorts before those in it
	var out networks
	for _, p := range sorted {
		if !out.contains(p.Addr()) {
			out = append(out, struct{ from, to netip.Addr }{p.Addr(), lastAddr(p)})
		}
	}
	return out, nil
}

func (n networks) contains(a netip.Addr) bool {
	a = a.Unmap()
	low, high := 0, len(n)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if n[mid].to.WithZone("").Less(a.WithZone("")) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low < len(n) && n[low].from.BitLen() == a.BitLen() && !a.WithZone("").Less(n[low].from)
}
