package proxyrpc_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/rpc/proxyrpc"
)

func TestApplyPutsThePolicyInForce(t *testing.T) {
	p := proxy.New(proxy.Config{})
	apply := proxyrpc.Apply(p)
	status := func() int {
		r := httptest.NewRequest(http.MethodGet, "/origin-form", nil) // refused for its form only by whom it may be used
		r.RemoteAddr = "192.0.2.7:4000"
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Code
	}
	objects, err := proxyrpc.Objects(proxy.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := apply(t.Context(), objects); err != nil || status() != http.StatusBadRequest {
		t.Errorf("allowed client: %d, %v", status(), err)
	}
	if err := apply(t.Context(), nil); err != nil || status() != http.StatusForbidden {
		t.Errorf("no policy: %d, %v", status(), err)
	}
}

func FuzzApply(f *testing.F) {
	f.Add([]byte(`{"allow":["192.0.2.0/24"],"parent":"http://proxy.example:3128"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = proxyrpc.Apply(proxy.New(proxy.Config{}))(t.Context(), map[string][]byte{"policy": data})
	})
}
