package dnssrv_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

func TestHTTPS(t *testing.T) {
	s := dnssrv.New(dnssrv.Config{})
	err := s.Update(dnssrv.Change{
		Zones: []dnssrv.Zone{{Name: "maas", TTL: 60}},
		Set:   []dnssrv.RRset{{Name: "web.maas", Type: "A", TTL: 40, Data: []string{"192.0.2.7"}}, {Name: "web.maas", Type: "TXT", Data: []string{strings.Repeat(`"`+strings.Repeat("x", 200)+`" `, 20)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	question := func(name string, qtype uint16) []byte {
		q := new(dns.Msg).SetQuestion(name, qtype)
		q.Id = 0
		b, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	get := func(b []byte) string { return "?dns=" + base64.RawURLEncoding.EncodeToString(b) }
	answer, err := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("web.maas.", dns.TypeA)).Pack()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		method, query, kind string
		body                []byte
		code                int
		rcode               int
		records             int
		cache               string
	}{
		"GET":            {"GET", get(question("web.maas.", dns.TypeA)), "", nil, 200, dns.RcodeSuccess, 1, "max-age=40"},
		"POST":           {"POST", "", "application/dns-message", question("web.maas.", dns.TypeA), 200, dns.RcodeSuccess, 1, "max-age=40"},
		"long answer":    {"GET", get(question("web.maas.", dns.TypeTXT)), "", nil, 200, dns.RcodeSuccess, 1, "max-age=60"},
		"denial":         {"GET", get(question("none.maas.", dns.TypeA)), "", nil, 200, dns.RcodeNameError, 0, "max-age=60"},
		"another zone":   {"GET", get(question("example.com.", dns.TypeA)), "", nil, 200, dns.RcodeRefused, 0, "max-age=0"},
		"transfer":       {"GET", get(question("maas.", dns.TypeAXFR)), "", nil, 200, dns.RcodeRefused, 0, "max-age=0"},
		"no question":    {"GET", "", "", nil, 400, 0, 0, ""},
		"padded":         {"GET", "?dns=AAA=", "", nil, 400, 0, 0, ""},
		"too short":      {"GET", "?dns=AAAA", "", nil, 400, 0, 0, ""},
		"too long":       {"GET", "?dns=" + strings.Repeat("A", 3000), "", nil, 414, 0, 0, ""},
		"an answer":      {"POST", "", "application/dns-message", answer, 400, 0, 0, ""},
		"another type":   {"POST", "", "text/plain", question("web.maas.", dns.TypeA), 415, 0, 0, ""},
		"large":          {"POST", "", "application/dns-message", make([]byte, 70_000), 413, 0, 0, ""},
		"another method": {"PUT", "", "application/dns-message", question("web.maas.", dns.TypeA), 405, 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL+"/dns-query"+tt.query, bytes.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", tt.kind)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.code || resp.Header.Get("Cache-Control") != tt.cache {
				t.Fatalf("%s, %q, %s", resp.Status, resp.Header.Get("Cache-Control"), b)
			}
			if tt.code != 200 {
				return
			}
			m := new(dns.Msg)
			if err := m.Unpack(b); err != nil || m.Rcode != tt.rcode || len(m.Answer) != tt.records || m.Truncated || resp.Header.Get("Content-Type") != "application/dns-message" {
				t.Errorf("%v, %v", m, err)
			}
		})
	}
}
