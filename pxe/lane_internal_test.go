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

func TestPlainGET(t *testing.T) {
	const host = "Host: h\r\n"
	tests := []struct {
		name, head, path string // path "" is not plain
	}{
		{"iPXE", "GET /boot/x HTTP/1.1\r\nConnection: keep-alive\r\nUser-Agent: iPXE/1.0\r\nHost: 10.0.0.1:5248\r\n", "/boot/x"},
		{"UEFI", "GET //grubx64.efi HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nUser-Agent: UefiHttpBoot/1.0\r\n", "//grubx64.efi"},
		{"head", "HEAD /x HTTP/1.1\r\n" + host, ""},
		{"old", "GET /x HTTP/1.0\r\n" + host, ""},
		{"query", "GET /x?arch=7 HTTP/1.1\r\n" + host, ""},
		{"escape", "GET /%2e%2e/x HTTP/1.1\r\n" + host, ""},
		{"absolute", "GET http://h/x HTTP/1.1\r\n" + host, ""},
		{"space", "GET /x y HTTP/1.1\r\n" + host, ""},
		{"range", "GET /x HTTP/1.1\r\n" + host + "Range: bytes=0-1\r\n", ""},
		{"condition", "GET /x HTTP/1.1\r\n" + host + "If-None-Match: \"x\"\r\n", ""},
		{"body", "GET /x HTTP/1.1\r\n" + host + "Content-Length: 3\r\n", ""},
		{"close", "GET /x HTTP/1.1\r\n" + host + "Connection: close\r\n", ""},
		{"no host", "GET /x HTTP/1.1\r\n", ""},
		{"two hosts", "GET /x HTTP/1.1\r\n" + host + host, ""},
		{"continued line", "GET /x HTTP/1.1\r\n" + host + " y\r\n", ""},
		{"ONIE", "GET /x HTTP/1.1\r\n" + host + "ONIE-ETH-ADDR: 52:54:00:77:e1:97\r\n", ""},
	}
	for _, tt := range tests {
		if path, ok := plainGET([]byte(tt.head)); path != tt.path || ok != (tt.path != "") {
			t.Errorf("%s: %q, %t", tt.name, path, ok)
		}
	}
}

// FuzzPlainGET: what is taken for a plain request, net/http reads as the same, with nothing more in it.
func FuzzPlainGET(f *testing.F) {
	f.Add("GET /boot/x HTTP/1.1\r\nConnection: keep-alive\r\nUser-Agent: iPXE/1.0\r\nHost: 10.0.0.1:5248\r\n")
	f.Add("GET //a HTTP/1.1\r\nhost: h\r\nAccept : x\r\n")
	f.Add("GET /a HTTP/1.1\r\nHost: h\r\nRange: bytes=1-\r\n")
	f.Add("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n")
	f.Fuzz(func(t *testing.T, head string) {
		path, ok := plainGET([]byte(head))
		if !ok || strings.Contains(head, "\r\n\r\n") {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n")))
		if err != nil {
			return // net/http refuses more, such as names of hosts
		}
		if r.Method != "GET" || r.URL.Path != path || r.URL.RawQuery != "" || r.Body != http.NoBody || r.Close || !r.ProtoAtLeast(1, 1) {
			t.Errorf("%q is %+v", head, r)
		}
		for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "Transfer-Encoding", "Content-Length", "Expect", "Upgrade"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%q has %s", head, name)
			}
		}
	})
}

// One connection carries plain requests, then one that only net/http understands, then plain ones again.
func TestLaneHandsOver(t *testing.T) {
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

// Memory holds the file as it is now, never more than its bound, and nothing that cannot be told from its successor.
func TestHot(t *testing.T) { synctest.Test(t, testHot) }

func testHot(t *testing.T) {
	var h hot
	files := fstest.MapFS{"f": {Data: []byte("one"), ModTime: time.Unix(1, 0)}, "timeless": {Data: []byte("x")}}
	read := func(name string, limit int64) (string, bool) {
		t.Helper()
		c, err := h.open(files, hotName{name: name}, limit)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(text), c.data != nil
	}
	for range 2 {
		if text, kept := read("f", 100); text != "one" || !kept {
			t.Errorf("%q, kept %t", text, kept)
		}
	}
	if text, kept := read("f", 2); text != "one" || kept {
		t.Errorf("above the limit: %q, kept %t", text, kept)
	}
	files["f"] = &fstest.MapFile{Data: []byte("two"), ModTime: time.Unix(2, 0)}
	time.Sleep(hotFresh)
	if text, _ := read("f", 100); text != "two" {
		t.Errorf("changed: %q", text)
	}
	if text, kept := read("timeless", 100); text != "x" || kept {
		t.Errorf("without a time: %q, kept %t", text, kept)
	}
	time.Sleep(hotFresh)
	if text, kept := read("f", 100); text != "two" || !kept {
		t.Errorf("looked at again: %q, kept %t", text, kept)
	}
	delete(files, "f")
	time.Sleep(hotFresh)
	if _, err := h.open(files, hotName{name: "f"}, 100); err == nil {
		t.Error("a deleted file is still served")
	}
	for i := range 20 {
		files[fmt.Sprint(i)] = &fstest.MapFile{Data: make([]byte, hotTFTP), ModTime: time.Unix(1, 0)}
		read(fmt.Sprint(i), hotTFTP)
		if h.bytes > hotTotal || len(h.files) != len(h.order) {
			t.Fatalf("%d bytes in %d files, %d in order", h.bytes, len(h.files), len(h.order))
		}
	}
}

// A silent connection is closed, and the end of the server waits for nobody.
func TestLaneIdles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Files: fstest.MapFS{}})
		if err != nil {
			t.Fatal(err)
		}
		rest := newHandover(nil)
		ls := lanes{server: s, rest: rest, open: map[net.Conn]bool{}}
		client, server := net.Pipe()
		start := time.Now()
		ls.serve(t.Context(), server)
		if took := time.Since(start); took < idleTimeout || took > 2*idleTimeout {
			t.Errorf("closed after %v", took)
		}
		if _, err := client.Write([]byte("x")); err == nil {
			t.Error("the connection is open")
		}
		client, server = net.Pipe()
		defer client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		ls.open[server] = true
		go ls.serve(ctx, server)
		synctest.Wait()
		start = time.Now()
		cancel()
		ls.interrupt()
		synctest.Wait()
		if len(ls.open) != 0 || time.Since(start) != 0 {
			t.Errorf("%d connections open after %v", len(ls.open), time.Since(start))
		}
	})
}

// handingOver serves one connection in a bubble, by a lane and by net/http, and returns the client's end.
func handingOver(t *testing.T, s *Server) net.Conn {
	client, server := net.Pipe()
	rest := newHandover(nil)
	ls := lanes{server: s, rest: rest, open: map[net.Conn]bool{}}
	srv := &http.Server{Handler: s.Handler()}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(rest) })
	wg.Go(func() { ls.serve(t.Context(), server) })
	t.Cleanup(func() {
		client.Close()
		rest.Close()
		srv.Close()
		wg.Wait()
	})
	return client
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
		conn := handingOver(t, s)
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
			time.Sleep(2*patience(0) + time.Second)
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
		conn := handingOver(t, s)
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

// Lines may end without CR (RFC 9112 section 2.2): net/http reads those.
func TestLaneWithoutCR(t *testing.T) {
	s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Files: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []string{"GET /f HTTP/1.0\n\n", "GET /f HTTP/1.1\r\nHost: h\n\n", "\nGET /f HTTP/1.1\n"} {
		client, server := net.Pipe()
		go func() { _, _ = io.WriteString(client, request) }()
		l := s.newLane(server)
		if !l.run(t.Context()) || string(l.buf) != request {
			t.Errorf("%q is not handed over", request)
		}
		client.Close()
		server.Close()
	}
}

func BenchmarkSmallFile(b *testing.B) {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 1024), 0o644); err != nil {
		b.Fatal(err)
	}
	s, err := New(Config{Resolver: Static(Profile{Kernel: "f"}), Files: os.DirFS(dir)})
	if err != nil {
		b.Fatal(err)
	}
	client, server := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, client) }()
	defer client.Close()
	l := s.newLane(server)
	b.ReportAllocs()
	for b.Loop() {
		if !l.serve(b.Context(), "/images/f") {
			b.Fatal("the connection ended")
		}
	}
}

// A resolver that panics costs its client the connection, and nobody else anything.
func TestLanesOutliveAPanic(t *testing.T) {
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
