package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

// Requests that proxies and origins might understand differently are refused, and none of their bytes reaches the origin as
// another request.
func TestSmugglingIsRefused(t *testing.T) {
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			t.Error("a request was smuggled")
		}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	smuggled := "GET " + b.origin.URL + "/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	for name, c := range map[string]struct{ head, body string }{
		"two lengths":               {"Content-Length: 0\r\nContent-Length: 90\r\n", smuggled},
		"list of lengths":           {"Content-Length: 0, 90\r\n", smuggled},
		"signed length":             {"Content-Length: +0\r\n", smuggled},
		"negative length":           {"Content-Length: -1\r\n", smuggled},
		"unknown coding":            {"Transfer-Encoding: xchunked\r\n", chunk},
		"coding behind a control":   {"Transfer-Encoding: \x0bchunked\r\n", chunk},
		"two codings":               {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunk},
		"space before the colon":    {"Transfer-Encoding : chunked\r\n", chunk},
		"bare CR in a field":        {"X: a\rContent-Length: 90\r\n", smuggled},
		"NUL in a field":            {"X: a\x00b\r\n", ""},
		"first line folded":         {" folded: 1\r\n", ""},
		"bare CR ends the line":     {"X: a\r\rGET /smuggled HTTP/1.1\r\n", ""},
		"chunk size with a sign":    {"Transfer-Encoding: chunked\r\n", "+1\r\nx\r\n0\r\n\r\n"},
		"chunk size of 20 digits":   {"Transfer-Encoding: chunked\r\n", "10000000000000000000\r\nx\r\n0\r\n\r\n"},
		"second Host":               {"Host: other\r\n", ""},
		"Host that is no authority": {"X: y\r\n", "bad host"},
	} {
		t.Run(name, func(t *testing.T) {
			host := "x"
			if c.body == "bad host" {
				host, c.body = "a b/c", ""
			}
			status, more := raw(t, b.proxy.Listener.Addr().String(),
				"POST "+b.origin.URL+"/ HTTP/1.1\r\nHost: "+host+"\r\n"+c.head+"\r\n"+c.body)
			if status < 400 || more {
				t.Errorf("answered %d, and more: %t", status, more)
			}
		})
	}
}

// A length beside chunks is what a proxy may mend: it drops the length (RFC 9112, 6.3), and forwards one request.
func TestLengthBesideChunks(t *testing.T) {
	var lengths []int64
	b := setUp(t, proxy.CacheConfig{}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		lengths = append(lengths, r.ContentLength, int64(len(body)))
	})
	raw(t, b.proxy.Listener.Addr().String(),
		"POST "+b.origin.URL+"/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	if fmt.Sprint(lengths) != "[-1 5]" && b.asked.Load() != 0 {
		t.Error(lengths)
	}
}

// raw sends bytes and returns the status of the answer, and whether a second one follows.
func raw(t *testing.T, address, request string) (status int, more bool) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		return 400, false
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 400, false // closed without an answer is refused, too
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	conn.SetDeadline(time.Now().Add(50 * time.Millisecond)) // for a second answer
	rest, _ := io.ReadAll(r)
	return resp.StatusCode, strings.Contains(string(rest), "HTTP/1.1 200")
}
