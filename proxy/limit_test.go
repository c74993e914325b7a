package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

// limitedProxy serves a proxy whose clients have 20 connections each, and returns where.
func limitedProxy(t *testing.T, headerTime time.Duration) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := proxy.New(proxy.Config{})
	if err := p.Update(open); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: headerTime}
	t.Cleanup(func() { srv.Close() })
	go srv.Serve(proxy.LimitClients(ln, 20))
	return ln.Addr().String()
}

// connect opens a connection from an address of this host and begins a request.
func connect(t *testing.T, from net.IP, to, text string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, _ = io.WriteString(conn, text) // it may be closed by now
	return conn
}

const slowHeader = "GET http://x/ HTTP/1.1\r\nX: "

// A client that opens connection after connection, and is slow on each, gets so many and no more. Others are served meanwhile.
func TestSlowlorisIsBounded(t *testing.T) {
	at := limitedProxy(t, 0)
	ended := make(chan bool, 100)
	for range 100 {
		conn := connect(t, net.IPv4(127, 0, 0, 1), at, slowHeader)
		go func() {
			_, _ = conn.Read(make([]byte, 1))
			ended <- true
		}()
	}
	for range 80 {
		<-ended
	}
	conn := connect(t, net.IPv4(127, 0, 0, 2), at, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 400 {
		t.Errorf("another client: %v", err)
	}
	if n := len(ended); n > 0 {
		t.Errorf("%d connections more were closed", n)
	}
}

// A client that sends its header too slowly loses its connections, and is served again.
func TestSlowConnectionsEnd(t *testing.T) {
	at := limitedProxy(t, 100*time.Millisecond)
	for range 20 {
		connect(t, net.IPv4(127, 0, 0, 1), at, slowHeader)
	}
	eventually(t, "slow connections end", func() bool {
		conn := connect(t, net.IPv4(127, 0, 0, 1), at, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		defer conn.Close()
		_, err := http.ReadResponse(bufio.NewReader(conn), nil)
		return err == nil
	})
}
