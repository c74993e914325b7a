package pxe

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

var (
	macA = net.HardwareAddr{2, 0, 0, 0, 0, 0xa}
	macB = net.HardwareAddr{2, 0, 0, 0, 0, 0xb}
)

func TestNoncesAreOfOneMachineAndTime(t *testing.T) {
	r, now := newReporting(nil), time.Now()
	nonce := r.nonce(macA, now)
	if !r.proves(nonce, macA, now) || !r.proves(nonce, macA, now.Add(nonceLife-time.Minute)) {
		t.Error("a machine's own nonce does not count")
	}
	// A restart with the same key, and a rack with another.
	if !(reporting{r.key}).proves(nonce, macA, now) || newReporting(nil).proves(nonce, macA, now) {
		t.Error("the key does not decide")
	}
	for name, bad := range map[string]bool{
		"of another machine": r.proves(nonce, macB, now), "of no machine": r.proves(nonce, nil, now),
		"old": r.proves(nonce, macA, now.Add(nonceLife+2*time.Minute)), "of the future": r.proves(nonce, macA, now.Add(-time.Hour)),
		"empty": r.proves("", macA, now), "cut": r.proves(nonce[:len(nonce)-2], macA, now), "longer": r.proves(nonce+"aa", macA, now),
		"upper case": r.proves(strings.ToUpper(nonce), macA, now),
	} {
		if bad {
			t.Errorf("a nonce that is %s counts", name)
		}
	}
	for i := range nonce { // the last character has unused bits, which decode to the same
		for _, c := range "a7" {
			other := nonce[:i] + string(c) + nonce[i+1:]
			if other != nonce && i < len(nonce)-1 && r.proves(other, macA, now) {
				t.Errorf("%s counts for %s", other, nonce)
			}
		}
	}
	if r.nonce(nil, now) != "" {
		t.Error("an unknown machine has a nonce")
	}
}

// A report counts if its sender got the machine's script, or has the machine's address. All others are claims, and so is a request for
// the files of another machine.
func TestReportsOfStrangersAreClaims(t *testing.T) {
	var events []Event
	holders := map[string]net.HardwareAddr{"192.0.2.10": macA, "192.0.2.11": macB}
	s, err := New(Config{
		Resolver: Static(Profile{Kernel: "k", Cmdline: "report={done}"}), Files: fstest.MapFS{"k": {Data: []byte("kernel")}},
		Identify: IdentifierFunc(func(a netip.Addr) (net.HardwareAddr, bool) { mac, ok := holders[a.String()]; return mac, ok }),
		Events:   func(e Event) { events = append(events, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, from, path string) (string, Event) {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader("it runs"))
		r.RemoteAddr = from + ":1024"
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w.Body.String(), events[len(events)-1]
	}
	script, _ := do("GET", "192.0.2.10", "/boot/02-00-00-00-00-0a/script.ipxe")
	_, after, _ := strings.Cut(script, "report=")
	done := after[strings.Index(after, "/boot/"):strings.IndexAny(after, " \n")]
	if !strings.HasPrefix(done, "/boot/02-00-00-00-00-0a/done/") {
		t.Fatalf("the script reports to %q:\n%s", done, script)
	}
	for name, tt := range map[string]struct {
		method, from, path string
		claimed            bool
	}{
		"with the nonce":                {"POST", "192.0.2.10", done, false},
		"with the nonce, moved":         {"POST", "192.0.2.77", done, false},
		"with the nonce and a query":    {"PUT", "192.0.2.77", done + "?state=up", false},
		"own address, no nonce":         {"POST", "192.0.2.10", "/boot/02-00-00-00-00-0a/done", false},
		"own address, a wrong nonce":    {"POST", "192.0.2.10", "/boot/02-00-00-00-00-0a/done/nonsense", false},
		"another machine":               {"POST", "192.0.2.11", "/boot/02-00-00-00-00-0a/done", true},
		"a stranger":                    {"POST", "192.0.2.77", "/boot/02-00-00-00-00-0a/done", true},
		"a stranger with a wrong nonce": {"POST", "192.0.2.77", "/boot/02-00-00-00-00-0a/done/aaaaaaaaaaaaaaaaaaaaaaaaaa", true},
		"the nonce of another machine":  {"POST", "192.0.2.77", strings.Replace(done, "0a/done", "0b/done", 1), true},
		"own script":                    {"GET", "192.0.2.10", "/boot/02-00-00-00-00-0a/script.ipxe", false},
		"the script of another machine": {"GET", "192.0.2.11", "/boot/02-00-00-00-00-0a/script.ipxe", true},
		"the kernel of another machine": {"GET", "192.0.2.11", "/boot/02-00-00-00-00-0a/kernel/k", true},
		"an address without a lease":    {"GET", "192.0.2.77", "/boot/02-00-00-00-00-0a/script.ipxe", false},
		"a machine in a query":          {"GET", "192.0.2.11", "/ipxe.cfg?mac=02:00:00:00:00:0a", true},
	} {
		if _, e := do(tt.method, tt.from, tt.path); e.Claimed != tt.claimed || e.Stage == StageRunning && !strings.Contains(string(e.Body), "it runs") {
			t.Errorf("%s: claimed %v, want %v (%+v)", name, e.Claimed, tt.claimed, e)
		}
	}
}

// The text of a report is cut, and a report that is much longer is refused.
func TestReportsAreCut(t *testing.T) {
	var last Event
	s, err := New(Config{Resolver: Static(Profile{Kernel: "k"}), Events: func(e Event) { last = e }})
	if err != nil {
		t.Fatal(err)
	}
	for size, status := range map[int]int{0: 204, 100: 204, keptReport: 204, keptReport + 1: 204, maxReport: 204, maxReport + 1: 413} {
		last = Event{}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/boot/02-00-00-00-00-0a/done", strings.NewReader(strings.Repeat("x", size))))
		if w.Code != status || status == 204 && (len(last.Body) != min(size, keptReport) || last.Size != int64(size)) {
			t.Errorf("%d bytes: status %d, kept %d, size %d", size, w.Code, len(last.Body), last.Size)
		}
	}
}
