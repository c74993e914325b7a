package maasapi

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// flow is a client of the stream.
type flow struct {
	lines *bufio.Scanner
	end   func() int // ends the request and returns its status
}

// pipeWriter is the server's side of a response that a client reads while it is written.
type pipeWriter struct {
	*httptest.ResponseRecorder
	to *io.PipeWriter
}

func (w pipeWriter) Write(p []byte) (int, error) { return w.to.Write(p) }

// open follows the stream from an event; "" is now.
func open(t *testing.T, a *API, from string) flow {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequest("GET", "/api/v1/stream", nil).WithContext(ctx)
	if from != "" {
		r.Header.Set("Last-Event-ID", from)
	}
	read, write := io.Pipe()
	w := pipeWriter{httptest.NewRecorder(), write}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer write.Close()
		a.stream(w, r)
	}()
	return flow{bufio.NewScanner(read), func() int {
		cancel()
		read.Close()
		<-done
		return w.Code
	}}
}

// event returns the next event; a comment is an event without a name.
func (f flow) event(t *testing.T) (id, name string, data map[string]any) {
	t.Helper()
	for f.lines.Scan() {
		key, value, _ := strings.Cut(f.lines.Text(), ": ")
		switch key {
		case "":
			if value != "" { // a comment
				data = map[string]any{"comment": value}
				continue
			}
			return id, name, data
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatal("the stream ended")
	return "", "", nil
}

func (f flow) expect(t *testing.T, id, name, field string, want any) {
	t.Helper()
	gotID, gotName, data := f.event(t)
	if gotID != id || gotName != name || !cmp.Equal(data[field], want) {
		t.Errorf("%s %s %v; want %s %s with %s %v", gotID, gotName, data, id, name, field, want)
	}
}

func streamed(t *testing.T, m *memFeed, nodes memNodes) *API {
	return faked(t, stores{feed: m, events: m, audit: &memFeed{events: m.audit}, boots: m, nodes: nodes})
}

func TestStreamSendsWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
		m := &memFeed{changes: []store.Change{{Rev: 7}}, events: []inventory.Event{{ID: 3}}, boots: []pxe.Attempt{{}}, news: make(chan struct{})}
		a := streamed(t, m, memNodes{mac.String(): {SystemID: "abc", Hostname: "node1"}})
		f := open(t, a, "")
		f.expect(t, "", "", "comment", "from 7-3-1-0")
		m.do(func() { m.changes = append(m.changes, store.Change{Rev: 8, Kind: "subnet", ID: 2}) })
		f.expect(t, "8-3-1-0", "change", "kind", "subnet")
		m.do(func() { m.events = append(m.events, inventory.Event{ID: 4, Level: "info", Description: "it boots"}) })
		f.expect(t, "8-4-1-0", "event", "description", "it boots")
		m.do(func() { m.boots = append(m.boots, pxe.Attempt{MAC: mac}, pxe.Attempt{}) })
		f.expect(t, "8-4-3-0", "boot", "hostname", "node1")
		f.expect(t, "8-4-3-0", "boot", "hostname", "")
		began := time.Now()
		f.expect(t, "", "", "comment", "nothing new")
		if quiet := time.Since(began); quiet > streamBeat {
			t.Errorf("nothing was sent for %s", quiet)
		}
		if code := f.end(); code != 200 || len(a.streams) != 0 {
			t.Errorf("ended with %d, and %d clients are left", code, len(a.streams))
		}
	})
}

func TestStreamResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memFeed{
			changes: []store.Change{{Rev: 7, Kind: "fabric"}, {Rev: 8, Kind: "vlan"}}, events: []inventory.Event{{ID: 3, Description: "a"}, {ID: 4, Description: "b"}},
			boots: []pxe.Attempt{{Running: true}}, news: make(chan struct{}),
		}
		a := streamed(t, m, nil)
		f := open(t, a, "7-3-0-0")
		f.expect(t, "", "", "comment", "from 7-3-0-0")
		f.expect(t, "8-3-0-0", "change", "kind", "vlan")
		f.expect(t, "8-4-0-0", "event", "description", "b")
		f.expect(t, "8-4-1-0", "boot", "running", true)
		f.end()
		// IDs of older releases begin with the next boot, and with the next entry of the audit log.
		m.audit = []inventory.Event{{ID: 6}}
		a = streamed(t, m, nil)
		for id, from := range map[string]string{"8-4": "8-4-1-6", "8-4-0": "8-4-0-6", "8-4-0-0": "8-4-0-0"} {
			f = open(t, a, id)
			f.expect(t, "", "", "comment", "from "+from)
			f.end()
		}
		f = open(t, a, "8-4-1-5")
		f.expect(t, "", "", "comment", "from 8-4-1-5")
		f.expect(t, "8-4-1-6", "event", "id", 6.0)
		f.end()
	})
}

// What is lost is reported, and the client goes on from now.
func TestStreamReportsLostChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memFeed{changes: []store.Change{{Rev: 90}}, compacted: 50, events: []inventory.Event{{ID: 3}}, news: make(chan struct{})}
		a := streamed(t, m, nil)
		f := open(t, a, "10-1-0-0")
		f.expect(t, "", "", "comment", "from 10-1-0-0")
		f.expect(t, "90-3-0-0", "lost", "why", "changes that old are no longer kept; read all anew")
		m.do(func() { m.changes = append(m.changes, store.Change{Rev: 91, Kind: "tag"}) })
		f.expect(t, "91-3-0-0", "change", "kind", "tag")
		f.end()
	})
}

func TestStreamRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memFeed{news: make(chan struct{})}
		a := streamed(t, m, nil)
		for _, id := range []string{"x", "1-2-3-4-0", "1", "-1-2-3-0", "1-2-x"} {
			if f := open(t, a, id); true {
				synctest.Wait()
				if code := f.end(); code != 400 {
					t.Errorf("%s: %d", id, code)
				}
			}
		}
		for range maxStreams {
			a.streams <- struct{}{}
		}
		f := open(t, a, "")
		synctest.Wait()
		if code := f.end(); code != 503 {
			t.Errorf("one client too many: %d", code)
		}
	})
}
