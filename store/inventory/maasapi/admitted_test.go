package maasapi_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// A client with a valid key no longer competes with strangers for a connection; one with a wrong key
// does.
func TestClientsWithAKeyAreApart(t *testing.T) {
	s := newSite(t)
	key, err := s.api.CreateKey(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key   string
		apart bool
	}{"key": {key, true}, "wrong key": {key + "x", false}, "no key": {"", false}} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(s.api.Handler())
			srv.Listener = bounds.Listen(srv.Listener, bounds.Limits{Total: 2, PerSource: 2})
			srv.Config.ConnContext = bounds.WithConn
			srv.Start()
			defer srv.Close()
			dials := 0
			client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials++
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			}}}
			defer client.CloseIdleConnections()
			get := func() {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+base+"zones/", nil)
				if err != nil {
					t.Fatal(err)
				}
				if tt.key != "" {
					r.Header.Set("Authorization", oauth(tt.key, rand.Text(), time.Now()))
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if (resp.StatusCode == 200) != tt.apart {
					t.Error(resp.Status)
				}
			}
			get()
			for range 4 { // strangers, more than there is room for
				conn, err := net.Dial("tcp", srv.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				_, _ = conn.Read(make([]byte, 1)) // it is known to the server, or closed
			}
			if get(); (dials == 1) != tt.apart {
				t.Errorf("%d connections were needed", dials)
			}
		})
	}
}
