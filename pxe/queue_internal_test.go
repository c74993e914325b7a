package pxe

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Requests of one address that do not end leave room for others, and those that wait have their turn in order.
func TestOneClientLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loud, release := netip.MustParseAddr("192.0.2.1"), make(chan struct{})
		s, err := New(Config{MaxHTTP: 4, MaxHTTPPerClient: 3, Resolver: ResolverFunc(func(_ context.Context, r Request) (Profile, error) {
			if r.Addr == loud {
				<-release
			}
			return Profile{Kernel: "k"}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		get := func(ctx context.Context, from string) int {
			r := httptest.NewRequestWithContext(ctx, "GET", "/boot/unknown/script.ipxe", nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			w.Code = 0 // of who left without an answer
			s.Handler().ServeHTTP(w, r)
			return w.Code
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if code := get(t.Context(), "192.0.2.1:1000"); code != http.StatusOK {
					t.Errorf("after a wait: %d", code)
				}
			})
		}
		synctest.Wait()
		gone, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if code := get(gone, "192.0.2.1:1000"); code != 0 {
				t.Errorf("who has gone was answered: %d", code)
			}
		})
		synctest.Wait()
		cancel()
		if code := get(t.Context(), "192.0.2.2:1000"); code != http.StatusOK {
			t.Errorf("another client: %d", code)
		}
		synctest.Wait()
		if got := len(s.http.waiting[loud]); got != 7 {
			t.Errorf("%d wait, want 7", got)
		}
		close(release)
		wg.Wait()
		if len(s.http.all)+len(s.http.clients)+len(s.http.waiting) != 0 {
			t.Errorf("left behind: %d, %v, %v", len(s.http.all), s.http.clients, s.http.waiting)
		}
	})
}

// Many requests that come, wait, give up and end leave nothing behind, and never more than allowed are in service.
func TestQueueKeepsCount(t *testing.T) {
	q := newQueue(5, 2) // too few for all that come: some are refused
	clients := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1"), {}}
	var mu sync.Mutex
	inside := map[netip.Addr]int{}
	total := 0
	count := func(c netip.Addr, n int) {
		mu.Lock()
		defer mu.Unlock()
		inside[c] += n
		if total += n; total > 5 || c.IsValid() && inside[c] > 2 {
			t.Errorf("%d requests, %d of them of %v, at once", total, inside[c], c)
		}
	}
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				go cancel()
			}
			c := clients[i%len(clients)]
			if !q.enter(ctx, c) {
				return
			}
			count(c, 1)
			runtime.Gosched() // so that others arrive
			count(c, -1)
			q.leave(c)
		})
	}
	wg.Wait()
	if len(q.all)+len(q.clients)+len(q.waiting) != 0 {
		t.Errorf("left behind: %d, %v, %v", len(q.all), q.clients, q.waiting)
	}
}

// A client that waits holds a connection: too many of one client are refused, and none waits for
// ever.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, client := newQueue(2, 1), netip.MustParseAddr("192.0.2.1")
		if !q.enter(t.Context(), client) {
			t.Fatal("the first has no place")
		}
		start, waited := time.Now(), make(chan time.Duration, 10)
		for range 5 {
			go func() {
				if q.enter(t.Context(), client) {
					t.Error("a second has a place")
				}
				waited <- time.Since(start)
			}()
		}
		synctest.Wait()
		if len(waited) != 1 || <-waited != 0 {
			t.Error("more than four wait")
		}
		for range 4 {
			if took := <-waited; took != waitTime {
				t.Errorf("waited %v", took)
			}
		}
		q.leave(client)
		for range 2 {
			if !q.enter(t.Context(), netip.Addr{}) {
				t.Error("who has no address has a bound of its own")
			}
		}
	})
}
