package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_500_000: "1.5 MB", 20_000_000_000: "20.0 GB", 5_000_000_000_000_000: "5000.0 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for want, of := range map[string][2]uint64{"-": {0, 0}, "0%": {0, 3}, "33%": {1, 3}, "100%": {7, 7}} {
		if got := percent(of[0], of[1]); got != want {
			t.Errorf("percent(%d, %d) = %q, want %q", of[0], of[1], got, want)
		}
	}
}

// What clients send must not move the cursor of a terminal or clear it.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{"web-1": "web-1", "a\x1b[2Jb": "a?[2Jb", "line\nline\r": "line?line?", "\x7f": "?", "grüße": "grüße"} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{"plain": "plain", "--flag": `\-\-flag`, `a\b`: `a\eb`, ".first": `\&.first`, "'quote": `\&'quote`, "two\nlines": "two lines"} {
		if got := roff(text); got != want {
			t.Errorf("roff(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestWithoutPassword(t *testing.T) {
	for text, want := range map[string]string{
		"http://proxy.example:3128/":                                           "http://proxy.example:3128/",
		"http://ada:secret@proxy.example/":                                     "http://ada:xxxxx@proxy.example/",
		"http://ada@proxy.example/":                                            "http://ada@proxy.example/",
		".corp.example=http://ada:secret@p.example b.example=http://p.example": ".corp.example=http://ada:xxxxx@p.example b.example=http://p.example",
		"a=http://u:one@p.example,b=https://u:two@p.example":                   "a=http://u:xxxxx@p.example b=https://u:xxxxx@p.example",
		"/ubuntu/=http://archive.example/a=b":                                  "/ubuntu/=http://archive.example/a=b",
		"":                                                                     "",
	} {
		if got := withoutPassword(text); got != want {
			t.Errorf("withoutPassword(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for _, c := range []struct {
		since, until time.Time
		want         string
	}{
		{time.Time{}, time.Time{}, ""},
		{at, time.Time{}, ", since 2026-03-01 12:00:00"},
		{time.Time{}, at, ", until 2026-03-01 12:00:00"},
		{at, at.Add(time.Hour), ", since 2026-03-01 12:00:00, until 2026-03-01 13:00:00"},
	} {
		if got := span(c.since, c.until); got != c.want {
			t.Errorf("span(%v, %v) = %q, want %q", c.since, c.until, got, c.want)
		}
	}
}

func TestServicesOf(t *testing.T) {
	report := inventory.RackReport{Services: []inventory.RackService{{Name: "dhcp", Status: "running"}, {Name: "dns", Status: "degraded"}, {Name: "proxy", Status: "off"}}}
	if got := servicesOf(report); got != "dhcp dns:degraded" {
		t.Errorf("%q", got)
	}
	if got := servicesOf(inventory.RackReport{}); got != "" {
		t.Errorf("of a silent rack: %q", got)
	}
}

func TestStepNotes(t *testing.T) {
	for _, c := range []struct {
		step pxe.Step
		want []string
	}{
		{pxe.Step{}, nil},
		{pxe.Step{Absent: true}, []string{"there is none"}},
		{pxe.Step{Tries: 3, Retransmits: 2}, []string{"3 times", "2 retransmissions"}},
		{pxe.Step{BlockSize: 1468}, []string{"blocks of 1468, window 1"}},
		{pxe.Step{BlockSize: 1468, WindowSize: 16, Err: "timed out"}, []string{"blocks of 1468, window 16", "timed out"}},
	} {
		got := c.step.Notes()
		for _, part := range c.want {
			if !strings.Contains(got, part) {
				t.Errorf("%+v: %q has no %q", c.step, got, part)
			}
		}
		if len(c.want) == 0 && got != "" {
			t.Errorf("%+v: %q", c.step, got)
		}
	}
}

func TestNotes(t *testing.T) {
	d := maasapi.Discovery{Rival: "web-1", IsExternalDHCP: true}
	if got := notes(d); got != "conflict with web-1, foreign DHCP server" {
		t.Errorf("%q", got)
	}
	if got := notes(maasapi.Discovery{}); got != "" {
		t.Errorf("of nothing: %q", got)
	}
}

func TestOutcome(t *testing.T) {
	changes := []sitedoc.Change{{Op: "create"}, {Op: "create"}, {Op: "update"}, {Op: "delete"}}
	for want, did := range map[string]maasapi.Applied{
		"Nothing to change: the site is as the document says.":        {},
		"2 created, 1 changed, 1 deleted.":                            {Changes: changes},
		"2 would be created, 1 changed, 1 deleted; nothing was done.": {Changes: changes, DryRun: true},
		"0 would be created, 1 changed, 0 deleted; nothing was done.": {Changes: changes[2:3], DryRun: true},
	} {
		if got := outcome(did); got != want {
			t.Errorf("%+v: %q, want %q", did, got, want)
		}
	}
}

func TestWriteChanges(t *testing.T) {
	var out strings.Builder
	writeChanges(&out, []sitedoc.Change{
		{Op: "create", Kind: "zone", Name: "east", After: json.RawMessage(`{"name": "east", "description": "new"}`)},
		{Op: "update", Kind: "subnet", Name: "192.0.2.0/24", Before: json.RawMessage(`{"mtu": 1500, "gateway": "192.0.2.1"}`), After: json.RawMessage(`{"mtu": 9000}`)},
		{Op: "delete", Kind: "fabric", Name: "old\x1b", Before: json.RawMessage(`{"name": "old"}`)},
	})
	want := "+ zone east\n    description: new\n~ subnet 192.0.2.0/24\n    mtu: 1500 -> 9000\n    gateway: 192.0.2.1 -> nothing\n- fabric old?\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSummary(t *testing.T) {
	var value any
	if err := decode([]byte(`{"list": [{"name": "a", "id": 1}, {"id": 12345678901234567890}], "yes": true, "none": null, "bare": {"b": 2, "a": 1}, "empty": {}}`), &value); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"list": "a, 12345678901234567890", "yes": "yes", "none": "", "bare": "a=1 b=2", "empty": "", "list.name": "a", "absent.path": "", "yes.below": "",
	} {
		if got := summary(at(value, path)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestExpand(t *testing.T) {
	o := object{"start_ip": "192.0.2.1", "end_ip": "192.0.2.9", "vlan": object{"vid": json.Number("5")}, "empty": ""}
	for pattern, want := range map[string]string{
		"{start_ip}-{end_ip}": "192.0.2.1-192.0.2.9", "{vlan.vid}": "5", "plain": "plain", "{empty}": "", "x{absent}": "",
	} {
		got, ok := expand(pattern, o)
		if got != want || ok != (want != "") {
			t.Errorf("expand(%q) = %q, %t; want %q", pattern, got, ok, want)
		}
	}
}

// A value may come from a file, without the end of its last line and not without bounds.
func TestContents(t *testing.T) {
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small"), filepath.Join(dir, "large")
	if err := errors.Join(os.WriteFile(small, []byte("two\nlines\r\n"), 0o600), os.WriteFile(large, make([]byte, maxFile+1), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := contents("@" + small); got != "two\nlines" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if got, err := contents("plain@text"); got != "plain@text" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	for _, name := range []string{large, filepath.Join(dir, "none")} {
		if _, err := contents("@" + name); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// An object is found by its best name: one that is called like another one's lesser name is meant itself.
func TestFind(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`[{"id": 1, "name": "east"}, {"id": 2, "name": "1"}, {"id": 3, "name": "twin"}, {"id": 4, "name": "twin"}]`))
	}))
	defer srv.Close()
	zone := *resourceNamed("zone")
	zone.direct, zone.id, zone.names = false, "id", []string{"{name}"}
	target := target{resource: &zone, client: client.Client{URL: srv.URL}}
	for text, want := range map[string]string{
		"east": "1", "EAST": "1", "1": "2", "4": "4",
		"twin": "2 objects are called", "esat": `did you mean east?`, "xyzzy": "see maas zone list",
	} {
		m, err := target.find(t.Context(), text)
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", text, err, want)
		case err == nil && m.id != want:
			t.Errorf("%s: number %s, want %q", text, m.id, want)
		}
	}
}

// A watch prints what differs, and an interrupt ends it well, even in the middle of a request.
func TestWatched(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			_, _ = w.Write([]byte("event: open\ndata: {}\n\n"))
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out bytes.Buffer
	shows := 0
	err := remote{Output: "table"}.watched(ctx, stdio{&out, &out}, true, client.Client{URL: srv.URL}, func(w writer) error {
		shows++
		interrupt()
		return ctx.Err() // as a request ends that is interrupted
	})
	if err != nil || shows != 1 || out.Len() > 0 {
		t.Errorf("%v after %d looks, wrote %q", err, shows, out.String())
	}
	failed := errors.New("no permission")
	if err := (remote{}).watched(t.Context(), stdio{&out, &out}, true, client.Client{URL: srv.URL}, func(writer) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("an error of the site: %v", err)
	}
}
