package maastest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

// Config says what a test needs. The zero value serves an empty site over plain HTTP.
type Config struct {
	// TLS serves https. MAAS.HTTP trusts the certificate.
	TLS bool
	// Base is the path that the API is mounted below. If empty, it is /MAAS.
	Base string
	// Network is the first network of the site, with the address of its rack, such as 192.0.2.1/24.
	// If it is the zero value, the site has no subnet.
	Network netip.Prefix
	// Power returns what switches the machines of the inventory, for example maasapi.Direct. If
	// nil, they are switched in memory.
	Power func(inv *inventory.Inventory) maasapi.Power
}

// MAAS is one that runs.
type MAAS struct {
	// URL is the URL that clients of MAAS take, such as http://127.0.0.1:37001/MAAS.
	URL string
	// Key is the API key of the administrator, whose name is admin.
	Key string
	// HTTP signs each request with Key, and trusts the certificate of this MAAS.
	HTTP *http.Client
	// Inventory has the site's data.
	Inventory *inventory.Inventory
	// API serves it.
	API *maasapi.API
}

// New starts an empty MAAS that ends with the test, and returns its URL and the API key of its
// administrator.
func New(t testing.TB) (url, key string) {
	t.Helper()
	m := Start(t, Config{})
	return m.URL, m.Key
}

// Start starts a MAAS that ends with the test.
func Start(t testing.TB, cfg Config) *MAAS {
	t.Helper()
	m, err := start(t, cfg)
	if err != nil {
		t.Fatalf("maastest: %v", err)
	}
	return m
}

func start(t testing.TB, cfg Config) (*MAAS, error) {
	ctx := t.Context()
	db, err := store.Open(ctx, "memory:", schema.FS)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { db.Close() })
	// Passwords of tests protect nothing, and the usual cost of a hash would be most of the test.
	inv, err := inventory.Open(ctx, db, inventory.Config{PasswordCost: 10})
	if err != nil {
		return nil, err
	}
	if cfg.Network.IsValid() {
		if _, err := inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: cfg.Network}); err != nil {
			return nil, err
		}
	}
	power := maasapi.Power(new(memory))
	if cfg.Power != nil {
		power = cfg.Power(inv)
	}
	api, err := maasapi.New(maasapi.Config{Inventory: inv, Power: power, Base: cfg.Base})
	if err != nil {
		return nil, err
	}
	m := &MAAS{Inventory: inv, API: api}
	if m.Key, err = api.CreateKey(ctx, "admin"); err != nil {
		return nil, err
	}
	server := httptest.NewUnstartedServer(api.Handler())
	t.Cleanup(server.Close) // before the database is closed
	if cfg.TLS {
		server.StartTLS()
	} else {
		server.Start()
	}
	m.HTTP = server.Client()
	m.HTTP.Transport = &signer{m.HTTP.Transport, m.Key}
	m.URL = server.URL + "/MAAS"
	if cfg.Base != "" {
		m.URL = server.URL + strings.TrimSuffix(cfg.Base, "/")
	}
	return m, nil
}

// CreateUser adds a user with a role, "admin", "operator" or "read-only", and returns an API key of
// the user.
func (m *MAAS) CreateUser(t testing.TB, name, role string) (key string) {
	t.Helper()
	form := strings.NewReader("username=" + name + "&role=" + role + "&email=" + name + "@example.org&password=" + rand.Text())
	resp, err := m.HTTP.Post(m.URL+"/api/2.0/users/", "application/x-www-form-urlencoded", form)
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			err = fmt.Errorf("the API answers %s", resp.Status)
		}
	}
	if err == nil {
		key, err = m.API.CreateKey(t.Context(), name)
	}
	if err != nil {
		t.Fatalf("maastest: create user %s: %v", name, err)
	}
	return key
}

// signer signs requests by OAuth 1.0a PLAINTEXT, as MAAS wants it.
type signer struct {
	next http.RoundTripper
	key  string
}

func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	parts := strings.Split(s.key, ":")
	r = r.Clone(r.Context()) // a RoundTripper must not change the request
	r.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", `+
		`oauth_signature="%%26%s", oauth_nonce="%s", oauth_timestamp="%d"`, parts[0], parts[1], parts[2], rand.Text(), time.Now().Unix()))
	return s.next.RoundTrip(r)
}
