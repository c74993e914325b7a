package region

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/store/inventory"
)

// send calls the command socket and returns the status and the text of its answer.
func send(t *testing.T, r *Region, method, path string, form url.Values) (int, string) {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	r.Local().ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func TestTokensOfRacks(t *testing.T) {
	r, _ := opened(t)
	_, err := r.inv.Zones.Create(t.Context(), inventory.AvailabilityZone{Name: "east"})
	ok(t, err)
	for _, test := range []struct {
		form url.Values
		code int
		text string
	}{
		{url.Values{"ttl": {"soon"}}, 400, "is a time like 1h, at most 720h"},
		{url.Values{"ttl": {"-1h"}}, 400, "is a time like 1h"},
		{url.Values{"ttl": {"721h"}}, 400, "at most 720h"},
		{url.Values{"zone": {"west"}}, 400, `is one of ["default" "east"]`},
		{url.Values{"zone": {"east"}, "rack": {"rack-7"}, "ttl": {"2h"}}, 200, `"rack":"rack-7","zone":"east"`},
		{nil, 200, `"zone":"default"`},
	} {
		if code, body := send(t, r, "POST", TokensPath, test.form); code != test.code || !strings.Contains(body, test.text) {
			t.Errorf("%v: %d %s, want %d %s", test.form, code, body, test.code, test.text)
		}
	}
	var tokens []TokenInfo
	_, body := send(t, r, "GET", TokensPath, nil)
	ok(t, json.Unmarshal([]byte(body), &tokens))
	if len(tokens) != 2 || tokens[0].Rack != "rack-7" || tokens[0].Token != "" || time.Until(tokens[0].Expires) < time.Hour {
		t.Errorf("tokens %+v: a list must not have secrets", tokens)
	}
	if code, _ := send(t, r, "DELETE", TokensPath+"/1", nil); code != 200 {
		t.Errorf("delete: %d", code)
	}
	for _, id := range []string{"1", "none"} {
		if code, _ := send(t, r, "DELETE", TokensPath+"/"+id, nil); code != 404 {
			t.Errorf("delete of %s: %d", id, code)
		}
	}
}

func TestRegionWithoutRacksMakesNoTokens(t *testing.T) {
	r, err := Open(t.Context(), Config{Dir: t.TempDir(), Kinds: power.NewRegistry(power.Manual())})
	ok(t, err)
	defer r.Close()
	if code, body := send(t, r, "POST", TokensPath, nil); code != 400 || !strings.Contains(body, "run `maas region` for that") {
		t.Errorf("%d %s", code, body)
	}
	if _, err := r.NewToken(t.Context(), inventory.RackToken{}); !errors.Is(err, errNoRacks) {
		t.Errorf("a token that no rack can use: %v", err)
	}
	if identity, err := r.LocalRackIdentity(); identity != nil || err != nil {
		t.Errorf("the local rack has an identity without other racks: %v", err)
	}
	if code, body := send(t, r, "POST", RacksPath+"/nobody/revoke", nil); code != 404 {
		t.Errorf("revoke: %d %s", code, body)
	}
}

func TestRacksAreShownWithTheirLastReport(t *testing.T) {
	r, _ := opened(t)
	token, err := r.NewToken(t.Context(), inventory.RackToken{Rack: "rack-2", Expires: time.Now().Add(time.Minute)})
	ok(t, err)
	csr := signing(t, "rack-2")
	answer, err := r.racks.authority.Enrol(t.Context(), must(json.Marshal(enrol.Request{CSR: csr, Rack: "rack-2", Secret: token.Secret})))
	ok(t, err)
	var joined enrol.Answer
	ok(t, json.Unmarshal(answer, &joined))
	if len(joined.Cert) == 0 || len(joined.Regions) != 1 || joined.Regions[0] != "192.0.2.1:5242" {
		t.Errorf("joined %+v", joined)
	}
	ok(t, r.inv.Health.Report(t.Context(), "rack-2", "region-1", inventory.RackReport{Version: "1.0"}))
	defer r.rpc.Attach("rack", new(rpc.Methods))()

	_, body := send(t, r, "GET", RacksPath, nil)
	var racks []RackInfo
	ok(t, json.Unmarshal([]byte(body), &racks))
	if len(racks) != 2 {
		t.Fatalf("racks %s", body)
	}
	if a := racks[0]; a.Name != "rack" || !a.Connected || !a.Certificate.IsZero() || a.Addresses[0] != netip.MustParsePrefix("192.0.2.1/24").String() {
		t.Errorf("the local rack: %+v", a)
	}
	if b := racks[1]; b.Name != "rack-2" || b.Connected || time.Until(b.Certificate) < 89*24*time.Hour || b.Region != "region-1" || b.Report.Version != "1.0" || !b.Away.IsZero() {
		t.Errorf("the enrolled rack: %+v", b)
	}
	if code, body := send(t, r, "POST", RacksPath+"/rack-2/revoke", nil); code != 200 {
		t.Errorf("revoke: %d %s", code, body)
	}
	_, body = send(t, r, "GET", RacksPath, nil)
	racks = nil
	ok(t, json.Unmarshal([]byte(body), &racks))
	if !racks[1].Certificate.IsZero() {
		t.Errorf("a revoked rack has a certificate until %v", racks[1].Certificate)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestEnrolRefusesWhatItCannotRead(t *testing.T) {
	r, _ := opened(t)
	if _, err := r.racks.authority.Enrol(t.Context(), []byte("GET / HTTP/1.1")); err == nil || err.Error() != "malformed request" {
		t.Errorf("the answer repeats the request: %v", err)
	}
	if _, err := r.racks.authority.Enrol(t.Context(), []byte(`{"csr":"AA==","rack":"x"}`)); err == nil {
		t.Error("a request without a key was signed")
	}
	if _, err := r.racks.authority.Renew(t.Context(), enrol.Request{}); err == nil || !strings.Contains(err.Error(), "has no certificate to renew") {
		t.Errorf("a renewal over the loopback: %v", err)
	}
}

// Racks are spread over regions by ID; a further rack moves no other.
func TestRegionsForRacks(t *testing.T) {
	regions := []register.Region{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	var racks []inventory.Rack
	order := func(rack inventory.Rack) (names string) {
		for _, r := range regionsFor(rack, racks, regions) {
			names += r.Name
		}
		return names
	}
	want := []string{"abc", "bac", "cab", "acb", "bca", "cba", "abc"}
	for i := range want {
		racks = append(racks, inventory.Rack{ID: int64(10 + i)})
		for k := range racks {
			if got := order(racks[k]); got != want[k] {
				t.Errorf("of %d racks the one with ID %d has %s, want %s", len(racks), racks[k].ID, got, want[k])
			}
		}
	}
	if got := regionsFor(racks[0], racks, nil); got != nil {
		t.Errorf("without regions: %v", got)
	}
	if got := regionsFor(racks[1], racks, regions[:1]); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("with one region: %v", got)
	}
}

func TestPagesOfARegion(t *testing.T) {
	r, log := opened(t)
	page := func(path string) (int, string) {
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	defer r.rpc.Attach("rack", new(rpc.Methods))()
	if code, body := page("/MAAS/api/2.0/version/"); code != 200 {
		t.Errorf("version: %d %s", code, body)
	}
	for _, test := range []struct{ path, text string }{
		{"/healthz", "ok"}, {"/readyz", "ok"}, {"/metrics", "maas_rpc_racks_connected 1"}, {"/metrics", "maas_racks 1"}, {"/metrics", "maas_store_revision "},
		{"/metrics", `maas_api_requests_total{code="200",method="GET",route="/MAAS/api/2.0/version/"} 1`},
	} {
		if code, body := page(test.path); code != 200 || !strings.Contains(body, test.text) {
			t.Errorf("%s: %d, no %q in\n%s", test.path, code, test.text, body)
		}
	}
	rename(t, r, "revision", "away")
	if code, body := page("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "the database does not answer") || !log.contains("not ready") {
		t.Errorf("without its database: %d %s", code, body)
	}
	if code, body := page("/metrics"); code != 200 || strings.Contains(body, "maas_store_revision") || !strings.Contains(body, "maas_rpc_racks_connected 1") {
		t.Errorf("without its database: %d %s", code, body)
	}
	if code, _ := page("/healthz"); code != 200 {
		t.Errorf("the process lives, and answers %d", code)
	}
}

// The key of secrets is of one site: another one, none, or a part of it are refused with the cure.
func TestSiteKeyRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, KeyFile)
	open := func() error {
		r, err := Open(t.Context(), Config{Dir: dir, Kinds: power.NewRegistry(power.Manual())})
		if err == nil {
			err = r.Close()
		}
		return err
	}
	ok(t, open())
	key, err := os.ReadFile(path)
	ok(t, err)
	if info, err := os.Stat(path); err != nil || len(key) != KeySize || info.Mode().Perm() != 0o600 {
		t.Errorf("%d bytes, %v, %v", len(key), info.Mode(), err)
	}
	for name, test := range map[string]struct {
		key  []byte
		want string
	}{
		"cut short": {key[:16], "has 16 bytes instead of 32"},
		"another":   {make([]byte, KeySize), "is not the key that the secrets in"},
		"missing":   {nil, "is missing, and the secrets in"},
	} {
		ok(t, os.Remove(path))
		if test.key != nil {
			ok(t, os.WriteFile(path, test.key, 0o600))
		}
		if err := open(); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		ok(t, os.WriteFile(path, key, 0o600))
	}
	ok(t, open())
}

func TestOperationsInTraces(t *testing.T) {
	for op, want := range map[string]bool{
		"": true, "power_on": true, "get_config": true, "Power": false, "a b": false, "x=1": false, strings.Repeat("a", 40): false,
	} {
		if isOperation(op) != want {
			t.Errorf("%q: %v", op, !want)
		}
	}
}

// signing returns a request for a certificate.
func signing(t *testing.T, rack string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: rack}}, key)
	ok(t, err)
	return csr
}
