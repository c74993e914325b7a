package httpserve_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
	"github.com/gomaas/maas/internal/bounds"
)

func TestRequestsInProgressEndBeforeServeReturns(t *testing.T) {
	defer goleak.VerifyNone(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- httpserve.Serve(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel() // the daemon is told to end in the middle of a request
			<-r.Context().Done()
			io.WriteString(w, "finished")
		}))
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "finished" {
		t.Errorf("%q, %v", body, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Silent connections, and requests that do not end, keep no other client out.
func TestSilentConnectionsKeepNoneOut(t *testing.T) {
	for name, flood := range map[string]struct {
		tls           bool
		clients, each int
		begin         string
	}{
		"one client":      {false, 1, 1000, ""},
		"many clients":    {false, 60, 50, ""},
		"headers":         {false, 12, 256, "GET / HTTP/1.1\r\nX:"},
		"TLS":             {true, 60, 50, ""},
		"half handshakes": {true, 12, 256, "\x16\x03\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			serve, scheme := httpserve.Serve, "http"
			if flood.tls {
				cfg, err := httpserve.SelfSigned(t.TempDir(), []string{"127.0.0.1"})
				if err != nil {
					t.Fatal(err)
				}
				scheme = "https"
				serve = func(ctx context.Context, ln net.Listener, h http.Handler) error {
					return httpserve.Secure(ctx, ln, cfg, h)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				done <- serve(ctx, raw, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if (r.TLS != nil) != flood.tls {
						t.Errorf("the handler sees TLS: %v", r.TLS != nil)
					}
				}))
			}()
			for i := range flood.clients {
				for range flood.each {
					conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}).Dial("tcp", raw.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					io.WriteString(conn, flood.begin)
				}
			}
			dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
			client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
				DisableKeepAlives: true, DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			}}
			if resp, err := client.Get(scheme + "://" + raw.Addr().String()); err != nil {
				t.Error(err)
			} else {
				resp.Body.Close()
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A connection whose client proved who it is stays open whatever strangers do.
func TestAdmittedConnectionsOutliveAFlood(t *testing.T) {
	for _, secure := range []bool{false, true} {
		raw, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" && !bounds.AdmitRequest(r.Context()) {
				t.Error("not admitted")
			}
			io.WriteString(w, r.RemoteAddr)
		})
		ctx, cancel := context.WithCancel(t.Context())
		done, scheme := make(chan error, 1), "http"
		if secure {
			cfg, err := httpserve.SelfSigned(t.TempDir(), []string{"127.0.0.1"})
			if err != nil {
				t.Fatal(err)
			}
			scheme = "https"
			go func() { done <- httpserve.Secure(ctx, raw, cfg, h) }()
		} else {
			go func() { done <- httpserve.Serve(ctx, raw, h) }()
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		seenAs := func() string {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), "GET", scheme+"://"+raw.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "proof")
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			return string(b)
		}
		before := seenAs()
		for i := range 60 {
			for range 50 {
				conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}).Dial("tcp", raw.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
			}
		}
		if after := seenAs(); after != before {
			t.Errorf("%s: the connection of %s was closed; the next one is of %s", scheme, before, after)
		}
		client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
