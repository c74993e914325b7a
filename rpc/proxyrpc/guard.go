package proxyrpc

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/proxy"
)

// Bounds of a Guard's lookups.
const (
	lookupEvery    = 5 * time.Minute
	lookupTime     = 5 * time.Second
	lookupParallel = 16
)

// A Guard puts policies in force in a proxy and denies, besides, the addresses of hosts that are
// known by name, such as BMCs. Run looks the names up; between two lookups, and while the name
// servers do not answer, the addresses found last are denied. Methods may be called concurrently.
type Guard struct {
	proxy  *proxy.Proxy
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	news   chan struct{} // holds a token when names were added

	mu     sync.Mutex // guards the fields below, and the order of the proxy's updates
	policy proxy.Policy
	hosts  map[string][]netip.Addr // what each name led to last; nil = not known yet
}

// NewGuard returns a guard of a proxy. Lookup returns the addresses of a name, as
// [net.Resolver.LookupNetIP] does for the network "ip".
func NewGuard(p *proxy.Proxy, lookup func(ctx context.Context, host string) ([]netip.Addr, error)) *Guard {
	return &Guard{proxy: p, lookup: lookup, news: make(chan struct{}, 1)}
}

// update puts a policy in force with the addresses known of the hosts, and has Run look up the
// others. If the policy is refused, the former one stays with its hosts.
func (g *Guard) update(policy proxy.Policy, denied []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	hosts, fresh := make(map[string][]netip.Addr, len(denied)), false
	for _, host := range denied {
		found, known := g.hosts[host]
		hosts[host], fresh = found, fresh || !known
	}
	if err := g.proxy.Update(guarded(policy, hosts)); err != nil {
		return err
	}
	if g.policy, g.hosts = policy, hosts; fresh {
		select {
		case g.news <- struct{}{}:
		default:
		}
	}
	return nil
}

// guarded returns the policy with the addresses of the hosts among those that are denied.
func guarded(policy proxy.Policy, hosts map[string][]netip.Addr) proxy.Policy {
	deny := slices.Clone(policy.Deny)
	for _, found := range hosts {
		for _, a := range found {
			a = a.Unmap().WithZone("")
			deny = append(deny, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	slices.SortFunc(deny, netip.Prefix.Compare)
	policy.Deny = slices.Compact(deny)
	return policy
}

// Run looks the names up, at once when there are new ones and then every five minutes, until ctx
// ends. The error is always nil.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(lookupEvery)
	defer tick.Stop()
	for {
		g.lookUp(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-g.news:
		case <-tick.C:
		}
	}
}

// lookUp asks for all names, some at a time, and puts the policy in force again if an address
// changed.
func (g *Guard) lookUp(ctx context.Context) {
	g.mu.Lock()
	names := make(chan string, len(g.hosts))
	for host := range g.hosts {
		names <- host
	}
	g.mu.Unlock()
	close(names)
	var asking sync.WaitGroup
	for range min(len(names), lookupParallel) {
		asking.Go(func() {
			for host := range names {
				g.learn(ctx, host)
			}
		})
	}
	asking.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.proxy.Update(guarded(g.policy, g.hosts)) // it was taken before
}

// learn asks for one name. Without an answer, what it led to last stays.
func (g *Guard) learn(ctx context.Context, host string) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := g.lookup(ctx, host)
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, wanted := g.hosts[host]; wanted && err == nil {
		g.hosts[host] = found
	}
}
