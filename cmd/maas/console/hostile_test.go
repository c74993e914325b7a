package console_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/gomaas/maas/cmd/maas/console"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// payloads are names that end a tag, an attribute, a script, a template, a format or an event of a
// stream, or that turn the text after them around. DHCP clients, switches and operators choose
// names.
var payloads = []string{
	`<script>alert(1)</script>`, `"onmouseover="alert(1)`, `'onfocus='alert(1)' autofocus='`, `javascript:alert(1)`, `{{.Token}}`, `%d%s%!`, "a\u202egpj.exe\u2066b",
	"</title><img src=x onerror=alert(1)>", "x\nevent: lost\ndata: y\r\rid: 9\n\n", `--><svg onload=alert(1)>`, "<!--rows-->", `\"};alert(1)//`, "../../../x?y#z", "http://evil.example/",
}

// hostileColumns are the columns of texts that pages show, by table. They are written directly:
// what the inventory refuses today an older version may have taken, and an import may bring.
var hostileColumns = map[string][]string{
	"zone": {"name", "description"}, "resource_pool": {"name", "description"}, "domain": {"name"}, "space": {"name"}, "fabric": {"name"}, "vlan": {"name", "description"},
	"subnet": {"name", "description"}, "ip_range": {"comment"}, "reserved_ip": {"comment"}, "dns_record": {"name", "type", "data"}, "tag": {"name", "comment"},
	"node":      {"hostname", "description", "owner", "status", "architecture", "firmware", "uuid", "power_type", "power_state"},
	"interface": {"name"}, "allocation": {"owner", "hostname", "comment"}, "event": {"kind", "level", "description", "account"}, "audit": {"kind", "level", "description", "account"},
	"observation": {"hostname", "rack", "link"}, "dhcp_server": {"rack", "link"}, "ignored_device": {"hostname", "reason", "account"}, "link_peer": {"peer", "peer_link"}, "lease_history": {"hostname", "client_id", "how"},
	"rack_health": {"region"}, "boot_image": {"problem"},
}

// hostileSite is a site in which every name is a payload.
func hostileSite(t *testing.T, payload string) *site {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	kinds := power.NewRegistry(power.Manual(), power.Kind{
		Name: "manual2", Title: payload, Open: power.Manual().Open, Params: []power.Param{{Name: "a", Label: payload, Default: payload}, {Name: "b", Label: "b", Choices: []string{payload}}},
	})
	r, err := region.Open(ctx, region.Config{Dir: dir, Kinds: kinds})
	ok(t, err)
	t.Cleanup(func() { ok(t, r.Close()) })
	s := &site{inv: r.Inventory()}
	s.users(t)
	s.fill(t, payload)
	db, err := sql.Open("sqlite", filepath.Join(dir, "maas.db"))
	ok(t, err)
	defer db.Close()
	for table, columns := range hostileColumns {
		for _, column := range columns {
			// Unique columns keep unique values by the number.
			_, err := db.ExecContext(ctx, "UPDATE "+table+" SET "+column+" = ? || id", payload)
			ok(t, err)
		}
	}
	profile, err := json.Marshal(pxe.Profile{Name: payload, Kernel: payload, Initrd: []string{payload}, Cmdline: payload})
	ok(t, err)
	_, err = db.ExecContext(ctx, "UPDATE node SET profile = ?", string(profile))
	ok(t, err)
	_, err = db.ExecContext(ctx, "UPDATE rack SET name = ?", payload+"rack")
	ok(t, err)
	_, err = db.ExecContext(ctx, "UPDATE rack_health SET rack = ?", payload+"rack")
	ok(t, err)
	cfg := console.For(s.inv)
	cfg.API, cfg.Kinds, cfg.Vendor = r.Handler(), kinds, func([]byte) string { return payload }
	s.page, err = console.New(cfg)
	ok(t, err)
	return s
}

// fill adds an object of each kind that pages show.
func (s *site) fill(t testing.TB, text string) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	_, err := s.inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: netip.MustParsePrefix("192.0.2.1/24")})
	ok(t, err)
	m := s.machine(t, "web", "02:00:00:00:00:01")
	ok(t, s.inv.Boots.Record(ctx, pxe.Event{Time: now, MAC: m.Interfaces[0].MAC, Stage: pxe.StageLoader, Path: text, Proto: text, Method: text, Profile: text, Err: text}))
	ok(t, s.inv.Boots.Record(ctx, pxe.Event{Time: now, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}, Stage: pxe.StageLoader, Path: text, Proto: "tftp", Method: text, Bytes: 1 << 20, Duration: time.Second}))
	ok(t, s.inv.Events.Add(ctx, inventory.Event{NodeID: m.ID, Kind: "boot", Level: "warning", Description: text}))
	ok(t, s.inv.Audit.Add(ctx, inventory.Event{
		NodeID: m.ID, Kind: "change", User: "ada", Description: text,
		Differences: &inventory.Differences{Objects: []inventory.ObjectChange{{Kind: text, Name: text, Fields: []inventory.FieldChange{{Name: text, Old: text, New: text}}}}},
	}))
	ok(t, s.inv.Leases.Record(ctx, inventory.LeaseFact{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 5}, Addr: netip.MustParseAddr("192.0.2.7"), Hostname: "client", Expires: now.Add(time.Hour)}))
	_, err = s.inv.ReserveAddress(ctx, inventory.Reservation{Addr: netip.MustParseAddr("192.0.2.8"), Owner: "ada", Hostname: "kept", Comment: "x"})
	ok(t, err)
	_, err = s.inv.ReservedIPs.Create(ctx, ipam.ReservedIP{SubnetID: 1, Addr: netip.MustParseAddr("192.0.2.9"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 6}, Comment: "x"})
	ok(t, err)
	_, err = s.inv.Records.Create(ctx, inventory.DNSRecord{DomainID: 1, Name: "www", Type: "TXT", Data: "x"})
	ok(t, err)
	ok(t, s.inv.Health.Report(ctx, "rack", "region", inventory.RackReport{
		Version: text, Services: []inventory.RackService{{Name: text, Status: text, Info: text}, {Name: "dhcp", Status: "degraded", Info: text}}, Troubles: map[string]string{text: text},
		Topics: []inventory.RackTopic{{Name: text, Refused: text}},
	}))
	ok(t, s.inv.Discoveries.Record(ctx, "rack", discovery.Event{Kind: discovery.New, Device: discovery.Device{
		Interface: "eth0", Addr: netip.MustParseAddr("192.0.2.21"), MAC: discovery.MAC{2, 0, 0, 0, 0, 8}, First: now, Last: now, Expires: now.Add(time.Hour), Count: 1, Sources: discovery.ARP,
	}}))
	_, err = s.inv.Discoveries.Ignore(ctx, netip.MustParseAddr("192.0.2.21"), net.HardwareAddr{2, 0, 0, 0, 0, 8}, text)
	ok(t, err)
	ok(t, s.inv.Discoveries.Record(ctx, "rack", discovery.Event{Kind: discovery.New, Device: discovery.Device{
		Interface: "eth0", Addr: netip.MustParseAddr("192.0.2.20"), MAC: discovery.MAC{2, 0, 0, 0, 0, 7}, First: now, Last: now, Expires: now.Add(time.Hour), Count: 1,
		Sources: discovery.ARP, Info: discovery.Info{Names: []discovery.Name{{Name: text, Origin: discovery.MDNS}}, Switch: &discovery.Switch{System: text, Port: text}},
	}}))
}

// hostilePages returns the pages of a hostile site, with payloads as what clients ask for.
func hostilePages(t *testing.T, s *site, payload string) []string {
	q := url.QueryEscape(payload)
	out := append(pagesOf(s, t), "/racks/"+url.PathEscape(payload+"rack"), "/addresses/192.0.2.8", "/addresses/192.0.2.9", "/addresses/192.0.2.20", "/leases/history", "/machines/new?type=manual2")
	for _, path := range []string{"/machines?q=", "/machines?tag=", "/boots?q=", "/boots?state=", "/networks?q=", "/leases?q=", "/leases/history?q=", "/devices?q=", "/names?q=", "/names?domain=", "/events?user=", "/audit?kind=",
		"/networks/subnets/1?type=dynamic&remark=x&to=192.0.2.9&from=", "/login?next=", "/addresses?ip=", "/?done="} {
		out = append(out, path+q)
	}
	return append(out, "/nothing/"+url.PathEscape(payload), "/machines/"+url.PathEscape(payload))
}

// addresses are the attributes whose value a browser goes to, or sends forms to.
var addressAttributes = []string{"href", "src", "action", "formaction", "hx-get", "hx-post", "sse-connect", "xlink:href", "data"}

// harmless reports what a piece of HTML has that no page of ours has.
func harmless(t *testing.T, where, text string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return
		}
		token := z.Token()
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			if kind == html.CommentToken {
				t.Errorf("%s: comment %q", where, token.Data)
			}
			continue
		}
		if slices.Contains([]string{"style", "iframe", "object", "embed", "img", "base"}, token.Data) {
			t.Errorf("%s: element %q", where, token.Data)
		}
		src := ""
		for _, a := range token.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "autofocus" && !strings.Contains(text, `autofocus></label>`) {
				t.Errorf("%s: attribute %s=%q of %s", where, a.Key, a.Val, token.Data)
			}
			if a.Key == "src" {
				src = a.Val
			}
			if slices.Contains(addressAttributes, a.Key) && (!strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, "/\\")) {
				t.Errorf("%s: %s leads to %q", where, a.Key, a.Val)
			}
		}
		if token.Data == "script" && !strings.HasPrefix(src, "/static/") {
			t.Errorf("%s: script from %q", where, src)
		}
	}
}

var turned = regexp.MustCompile("[\u202a-\u202e\u2066-\u2069]")

// Names are text on every page and in the stream, whatever they hold.
func TestNamesAreEscaped(t *testing.T) {
	for _, payload := range payloads {
		t.Run(fmt.Sprintf("%.20q", payload), func(t *testing.T) {
			t.Parallel()
			s := hostileSite(t, payload)
			ada := s.as(t, "ada")
			shown := 0
			for _, path := range hostilePages(t, s, payload) {
				w := ada.do("GET", path, nil)
				body := w.Body.String()
				if w.Code >= 500 {
					t.Errorf("%s: %d", path, w.Code)
				}
				harmless(t, path, body)
				if i := strings.Index(body, "ZgotmplZ"); i >= 0 {
					t.Errorf("%s: an address that templates refuse: %s", path, body[max(0, i-200):min(len(body), i+40)])
				}
				if strings.Contains(body, "%!") && !strings.Contains(payload, "%!") || strings.Contains(body, "<no value>") {
					t.Errorf("%s: a format or a template failed: %s", path, body)
				}
				if turned.MatchString(body) {
					t.Errorf("%s: the page has characters that turn text around", path)
				}
				if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") {
					t.Errorf("%s: policy %q", path, got)
				}
				if strings.Contains(html.UnescapeString(body), payload) {
					shown++
				}
			}
			if shown < 15 && !turned.MatchString(payload) && !strings.Contains(payload, "\n") {
				t.Errorf("%d pages show the payload: the test looks at too little", shown)
			}
			hostileStream(t, s, ada, payload)
		})
	}
}

// hostileStream follows the boots and has one begin whose texts are a payload.
func hostileStream(t *testing.T, s *site, b *browser, payload string) {
	t.Helper()
	server := httptest.NewServer(s.page)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/boots/live?from=other-1", nil) // as of another process: the stream says so
	ok(t, err)
	req.AddCookie(b.cookie)
	res, err := http.DefaultClient.Do(req)
	ok(t, err)
	defer res.Body.Close()
	if got := res.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") {
		t.Errorf("stream: policy %q", got)
	}
	lines := bufio.NewScanner(res.Body)
	var data []string
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, ": from"): // the stream is at its place: what happens now is new
			ok(t, s.inv.Boots.Record(ctx, pxe.Event{Time: time.Now(), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 10}, Stage: pxe.StageLoader, Path: payload, Proto: payload, Method: payload, Err: payload}))
		case line == "event: new":
			data = []string{}
		case data != nil && strings.HasPrefix(line, "data: "):
			data = append(data, line[len("data: "):])
		case data != nil && line == "":
			text := strings.Join(data, "\n")
			harmless(t, "stream", text)
			if turned.MatchString(text) || !strings.Contains(text, "02:00:00:00:00:0a") {
				t.Errorf("stream: %q", text)
			}
			return
		case line != "" && !strings.HasPrefix(line, "id: ") && !strings.HasPrefix(line, "event: lost") && !strings.HasPrefix(line, "data: ") && !strings.HasPrefix(line, ":"):
			t.Errorf("stream: line %q", line)
		}
	}
	t.Errorf("stream: ended without the boot: %v", lines.Err())
}

// dump returns all rows of a database as text, by table.
func dump(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	ok(t, err)
	defer db.Close()
	var tables []string
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
	ok(t, err)
	for rows.Next() {
		var name string
		ok(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	ok(t, rows.Err())
	out := map[string]string{}
	for _, table := range tables {
		out[table] = dumpTable(t, db, table)
	}
	return out
}

func dumpTable(t *testing.T, db *sql.DB, table string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
	ok(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	ok(t, err)
	var b strings.Builder
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		ok(t, rows.Scan(into...))
		text, err := json.Marshal(values)
		ok(t, err)
		fmt.Fprintf(&b, "%s\n", text)
	}
	ok(t, rows.Err())
	return b.String()
}
