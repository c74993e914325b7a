package proxyrpc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/rpc/proxyrpc"
)

// names is a name server in memory. It fails for names it does not have.
type names struct {
	mu   sync.Mutex
	held map[string]string
}

func (n *names) set(host, addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[host] = addr
}

func (n *names) lookup(_ context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held[host] == "" {
		return nil, errors.New("no answer")
	}
	return []netip.Addr{netip.MustParseAddr(n.held[host])}, nil
}

// What a denied name leads to is denied by address, as soon as it is known, as it changes, and while
// the name server is away; what no name leads to is not.
func TestHostsAreDeniedByTheirAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &names{held: map[string]string{"bmc.example": "203.0.113.9"}}
		p := proxy.New(proxy.Config{})
		guard := proxyrpc.NewGuard(p, server.lookup)
		apply := proxyrpc.Apply(guard, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- guard.Run(ctx) }()
		put := func(hosts ...string) {
			t.Helper()
			objects, err := proxyrpc.Objects(proxyrpc.Content{Policy: proxy.Policy{
				Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, TunnelPorts: []proxy.Ports{proxy.Port(443)},
			}, DenyHosts: hosts})
			if err != nil {
				t.Fatal(err)
			}
			if err := apply(ctx, objects); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		check := func(when, addr string, denied bool) {
			t.Helper()
			// A port that nothing may be asked on tells no addresses apart; a context that has ended
			// keeps the proxy from connecting to one that is allowed.
			gone, end := context.WithCancel(ctx)
			end()
			r := httptest.NewRequestWithContext(gone, http.MethodGet, "http://"+addr+"/", nil)
			r.RemoteAddr = "192.0.2.7:4000"
			w := httptest.NewRecorder()
			if p.ServeHTTP(w, r); (w.Code == http.StatusForbidden) != denied {
				t.Errorf("%s: %s is answered with %d", when, addr, w.Code)
			}
		}
		put()
		check("without names", "203.0.113.9", false)
		put("bmc.example")
		check("with a name", "203.0.113.9", true)
		server.set("bmc.example", "203.0.113.10")
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		check("after a change", "203.0.113.10", true)
		check("after a change, the former address", "203.0.113.9", false)
		server.set("bmc.example", "")
		time.Sleep(time.Hour)
		synctest.Wait()
		check("without an answer", "203.0.113.10", true)
		put("bmc.example", "other.example")
		check("beside a name that leads nowhere", "203.0.113.10", true)
		put("other.example")
		check("without the name", "203.0.113.10", false)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
