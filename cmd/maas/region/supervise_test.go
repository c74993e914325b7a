package region_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/region"
)

// broken is a listener that was closed by the time it is asked for connections. Other errors of Accept end no server.
type broken struct{ net.Listener }

func (broken) Accept() (net.Conn, error) { return nil, net.ErrClosed }

// unreachable is a broken listener that cannot be opened again.
type unreachable struct{ net.Listener }

func (unreachable) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (unreachable) Addr() net.Addr            { return &net.IPNet{} }

// get returns the status and the text of a page, as soon as its server answers.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	for {
		resp, err := http.Get(url)
		if err != nil {
			time.Sleep(10 * time.Millisecond) // the server opens its socket again
			continue
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		ok(t, err)
		return resp.StatusCode, string(text)
	}
}

// A listener of the region that fails is opened again, one that cannot be shows in readyz, and neither ends the others.
func TestAFailedListenerLeavesTheRegionAlone(t *testing.T) {
	var listeners []net.Listener
	for range 3 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		ok(t, err)
		listeners = append(listeners, ln)
	}
	runningOn(t, region.Config{Dir: t.TempDir()}, region.Sockets{API: []net.Listener{broken{listeners[0]}, listeners[1], unreachable{listeners[2]}}})
	for _, ln := range listeners[:2] {
		if code, text := get(t, "http://"+ln.Addr().String()+"/healthz"); code != 200 {
			t.Errorf("%s: %d %s", ln.Addr(), code, text)
		}
	}
	// Its failure shows from the first one on, and in between only while it does not run.
	for {
		code, text := get(t, "http://"+listeners[1].Addr().String()+"/readyz")
		if code == http.StatusServiceUnavailable {
			if want := "api is down and started again; the region's log has the reason\n"; text != want {
				t.Errorf("readyz: %q, want %q", text, want)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
