// Package proxyrpc carries what a rack's proxy does from the region, and what the region wants to
// know and to purge.
//
//	objects, err := proxyrpc.Objects(proxyrpc.Content{Policy: policy, Port: 8000}) // region
//	region.State("rack-1").Set(proxyrpc.Topic, objects)
//	stats, err := proxyrpc.Stats(ctx, region.Rack("rack-1"))
//
//	guard := proxyrpc.NewGuard(proxy, lookup)                                      // rack
//	rpc.Topic{Name: proxyrpc.Topic, Apply: proxyrpc.Apply(guard, listener)}
//	err := guard.Run(ctx)
//	proxyrpc.Offer(&methods, proxy, cache)
package proxyrpc

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/rpc"
)

// Topic is the rpc topic.
const Topic = "proxy"

// Content configures a rack's proxy. The zero Content serves no client.
type Content struct {
	Policy proxy.Policy
	// Port is the TCP port of the proxy, 0 when there is to be none.
	Port int
	// DenyHosts are names of hosts, such as BMCs, whose addresses are denied as Policy.Deny is.
	DenyHosts []string
}

// The topic's objects.
const (
	policyKey = "policy"
	portKey   = "port"
	hostsKey  = "deny-hosts"
)

// Objects returns the topic's objects. The policy may hold credentials of parents; it is not to be
// logged.
func Objects(c Content) (map[string][]byte, error) {
	policy, err := json.Marshal(c.Policy)
	if err != nil {
		return nil, fmt.Errorf("proxyrpc: %w", err)
	}
	port, err := json.Marshal(c.Port)
	if err != nil {
		return nil, fmt.Errorf("proxyrpc: %w", err)
	}
	hosts, err := json.Marshal(c.DenyHosts)
	if err != nil {
		return nil, fmt.Errorf("proxyrpc: %w", err)
	}
	return map[string][]byte{policyKey: policy, portKey: port, hostsKey: hosts}, nil
}

// Apply puts each state of the topic in force: the policy by way of g, and the port by calling
// listen, which may be nil. Without a policy object no client may use the proxy; without a port it
// stays where it is.
func Apply(g *Guard, listen func(port int)) func(context.Context, map[string][]byte) error {
	return func(_ context.Context, objects map[string][]byte) error {
		var c Content
		for key, into := range map[string]any{policyKey: &c.Policy, portKey: &c.Port, hostsKey: &c.DenyHosts} {
			data, ok := objects[key]
			if !ok {
				continue
			}
			if err := json.Unmarshal(data, into); err != nil {
				return fmt.Errorf("proxyrpc: %s: %w", key, err)
			}
		}
		if err := g.update(c.Policy, c.DenyHosts); err != nil {
			return err
		}
		if _, told := objects[portKey]; told && listen != nil {
			listen(c.Port)
		}
		return nil
	}
}

// The methods that a rack offers.
const (
	methodStats = "proxy-stats"
	methodPurge = "proxy-purge"
)

// Purging says what a cache is to forget.
type Purging struct {
	URL string `json:"url"`
	// Prefix takes all URLs that begin so, instead of one.
	Prefix bool `json:"prefix,omitempty"`
}

// Offer lets the region look at the proxy and purge its cache, which may be nil.
func Offer(m *rpc.Methods, p *proxy.Proxy, c *proxy.Cache) {
	rpc.Offer(m, methodStats, func(context.Context, struct{}) (proxy.Stats, error) { return p.Stats(), nil })
	rpc.Offer(m, methodPurge, func(_ context.Context, what Purging) (int, error) {
		switch {
		case what.URL == "":
			return 0, fmt.Errorf("%w: no URL to purge is given", rpc.ErrInvalid)
		case c == nil:
			return 0, nil
		case what.Prefix:
			return c.PurgePrefix(what.URL), nil
		}
		return c.Purge(what.URL), nil
	})
}

// Stats asks a rack what its proxy did.
func Stats(ctx context.Context, rack rpc.Caller) (proxy.Stats, error) {
	return rpc.Do[proxy.Stats](ctx, rack, methodStats, struct{}{})
}

// Purge makes a rack's cache forget something, and returns how many responses that were.
func Purge(ctx context.Context, rack rpc.Caller, what Purging) (int, error) {
	return rpc.Do[int](ctx, rack, methodPurge, what)
}
