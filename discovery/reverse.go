package discovery

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ReverseConfig says how names of addresses are looked up.
type ReverseConfig struct {
	// Servers are the resolvers, asked in order until one answers. Without any nothing is asked.
	Servers []netip.AddrPort
	// Rate is the number of addresses looked up a second. Zero means 10.
	Rate int
	// Again is after what time an address is looked up again when it is still there. Zero means one
	// hour.
	Again time.Duration
	// Exchange asks one server; tests give their own. Nil sends UDP, with a time limit of 2
	// seconds.
	Exchange func(ctx context.Context, m *dns.Msg, server netip.AddrPort) (*dns.Msg, error)
}

// Reverse looks up the names of addresses in the DNS, slowly and not twice. Its methods may be
// called concurrently.
type Reverse struct {
	cfg   ReverseConfig
	queue chan netip.Addr

	mu    sync.Mutex // guards the fields below
	asked map[netip.Addr]time.Time
}

// Bounds of what waits and of what is remembered. More is left out until it is seen again.
const (
	reverseQueue  = 1024
	reverseAsked  = 1 << 14
	reverseWait   = 2 * time.Second
	reverseTrials = 2
)

// NewReverse returns one that works while a [Watch] uses it.
func NewReverse(cfg ReverseConfig) *Reverse {
	if cfg.Rate <= 0 {
		cfg.Rate = 10
	}
	if cfg.Again <= 0 {
		cfg.Again = time.Hour
	}
	if cfg.Exchange == nil {
		client := &dns.Client{Timeout: reverseWait}
		cfg.Exchange = func(ctx context.Context, m *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
			answer, _, err := client.ExchangeContext(ctx, m, server.String())
			return answer, err
		}
	}
	return &Reverse{cfg: cfg, queue: make(chan netip.Addr, reverseQueue), asked: map[netip.Addr]time.Time{}}
}

// ask queues an address unless it was asked for lately or too many wait.
func (r *Reverse) ask(addr netip.Addr) {
	if addr.IsLinkLocalUnicast() || len(r.cfg.Servers) == 0 {
		return // link-local addresses are in no zone
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if at, ok := r.asked[addr]; ok && now.Sub(at) < r.cfg.Again {
		return
	}
	// Forgetting all costs some repeated questions, and no bookkeeping.
	if len(r.asked) >= reverseAsked {
		clear(r.asked)
	}
	select {
	case r.queue <- addr:
		r.asked[addr] = now
	default:
	}
}

// run looks addresses up until ctx ends. It calls named with the name, empty if there is none.
func (r *Reverse) run(ctx context.Context, named func(addr netip.Addr, name string)) {
	tick := time.NewTicker(max(1, time.Second/time.Duration(r.cfg.Rate)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case addr := <-r.queue:
			if name, ok := r.Lookup(ctx, addr); ok {
				named(addr, name)
			}
		}
		// After the lookup, so that the first address of a quiet network does not wait.
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Lookup asks the resolvers for the name of an address. The name is empty when there is none; false
// means that no resolver could tell.
func (r *Reverse) Lookup(ctx context.Context, addr netip.Addr) (name string, ok bool) {
	arpa, err := dns.ReverseAddr(addr.String())
	if err != nil {
		return "", false
	}
	for range reverseTrials {
		for _, server := range r.cfg.Servers {
			answer, err := r.cfg.Exchange(ctx, new(dns.Msg).SetQuestion(arpa, dns.TypePTR), server)
			// SERVFAIL and REFUSED say nothing about the name: another resolver may know it.
			if err != nil || answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
				continue
			}
			for _, rr := range answer.Answer {
				if ptr, is := rr.(*dns.PTR); is {
					return hostname([]byte(ptr.Ptr)), true
				}
			}
			return "", true
		}
	}
	return "", false
}

// named puts what was found into the table.
func (w *watcher) named(addr netip.Addr, name string) {
	for _, e := range w.cfg.Table.Name(addr, name, time.Now()) {
		w.tell(e)
	}
}
