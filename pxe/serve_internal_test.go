package pxe

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// One connection carries several requests at once, whatever they ask for.
func TestPipelinedRequests(t *testing.T) {
	dir := t.TempDir()
	big := bytes.Repeat([]byte("0123456789"), 30_000)
	for name, data := range map[string][]byte{"small": []byte("small"), "medium": big[:20_000], "big": big} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	events := make(chan Event, 20)
	s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Files: os.DirFS(dir), Events: func(e Event) { events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	requests := []struct {
		request, extra string
		status         int
		body           string
	}{
		{"GET /images/small", "", 200, "small"},
		{"GET /images/medium", "", 200, string(big[:20_000])},
		{"GET /images/big", "", 200, string(big)},
		{"GET /images/none", "", 404, "file not found\n"},
		{"GET /boot/unknown/script.ipxe", "User-Agent: iPXE\r\n", 200, ""},
		{"GET /images/big", "Range: bytes=10-19\r\n", 206, "0123456789"},
		{"GET /images/big", "", 200, string(big)},
	}
	var all string
	for _, q := range requests { // pipelined
		all += q.request + " HTTP/1.1\r\nHost: h\r\n" + q.extra + "\r\n"
	}
	if _, err := io.WriteString(conn, all); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for _, q := range requests {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != q.status || q.body != "" && string(body) != q.body || resp.ContentLength != int64(len(body)) || resp.Header.Get("Date") == "" {
			t.Errorf("%s: %s, %d bytes, %v, %v", q.request, resp.Status, len(body), resp.Header, err)
		}
		if e := <-events; e.Bytes != int64(len(body)) && q.status != 404 || e.Server.String() != "127.0.0.1" {
			t.Errorf("%s: event %+v", q.request, e)
		}
		if strings.Contains(q.request, "images/") && q.status == 200 && (resp.Header.Get("ETag") == "" || resp.Header.Get("Last-Modified") == "") {
			t.Errorf("%s: %v", q.request, resp.Header)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// oneConn is a listener with one connection.
type oneConn struct {
	net.Conn
	taken  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case l.taken <- struct{}{}:
		return l.Conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Addr() net.Addr { return l.Conn.LocalAddr() }

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// served serves one connection in a bubble, and returns the client's end.
func served(t *testing.T, s *Server) net.Conn {
	client, server := net.Pipe()
	l := &oneConn{Conn: server, taken: make(chan struct{}, 1), closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return client
}

// A silent connection is closed: one that never asks, and one that asks no more.
func TestSilentConnections(t *testing.T) {
	for name, first := range map[string]string{"at first": "", "after a request": "GET /images/none HTTP/1.1\r\nHost: h\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Files: fstest.MapFS{}})
				if err != nil {
					t.Fatal(err)
				}
				conn, start := served(t, s), time.Now()
				go func() { _, _ = io.WriteString(conn, first) }()
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took == 0 || took > idleTimeout {
					t.Errorf("closed after %v", took)
				}
			})
		})
	}
}

// The time that an answer may take is not counted to the next one.
func TestNextAnswerHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Files: fstest.MapFS{}, Also: map[string]http.Handler{
			"/also": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }),
		}})
		if err != nil {
			t.Fatal(err)
		}
		conn := served(t, s)
		answers := bufio.NewReader(conn)
		for _, want := range []struct {
			path   string
			status int
		}{{"/images/none", http.StatusNotFound}, {"/also", http.StatusAccepted}} {
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", want.path)
			resp, err := http.ReadResponse(answers, nil)
			if err != nil || resp.StatusCode != want.status {
				t.Fatalf("%s: %+v, %v", want.path, resp, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			time.Sleep(patience(0) + time.Second)
		}
	})
}

// A report whose text never comes does not keep its place.
func TestReportThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Files: fstest.MapFS{}})
		if err != nil {
			t.Fatal(err)
		}
		conn := served(t, s)
		fmt.Fprint(conn, "POST /boot/52-54-00-77-e1-97/done HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
		synctest.Wait()
		if len(s.http.all) != 1 {
			t.Error("the report is not waited for")
		}
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		time.Sleep(patience(0) + time.Second)
		if n := len(s.http.all); n != 0 {
			t.Errorf("%d places are kept", n)
		}
	})
}

// A resolver that panics costs its client the connection, and no other client anything.
func TestServeOutlivesAPanic(t *testing.T) {
	s, err := New(Config{Resolver: ResolverFunc(func(context.Context, Request) (Profile, error) { panic("broken") }), Files: fstest.MapFS{"a": {Data: []byte("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	if r, err := http.Get("http://" + ln.Addr().String() + "/boot/52-54-00-00-00-01/script.ipxe"); err == nil {
		r.Body.Close()
		t.Errorf("answered %s", r.Status)
	}
	r, err := http.Get("http://" + ln.Addr().String() + "/images/a")
	if err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("the next request: %v, %v", r, err)
	}
	if err == nil {
		r.Body.Close()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
