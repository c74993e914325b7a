package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/proxy/internal/objects"
)

// An origin whose header never ends is left after a small part of the 10 GB that it would send.
func TestEndlessHeaders(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var sent atomic.Int64
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n")
				line := "X-Line: " + strings.Repeat("x", 8000) + "\r\n"
				for total := int64(0); total < 10<<30; total += int64(len(line)) {
					n, err := io.WriteString(conn, line)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			}()
		}
	}()
	b := setUp(t, proxy.CacheConfig{}, answering(""))
	if code, body := get(t, b.client, "http://"+ln.Addr().String()+"/"); code != 502 {
		t.Errorf("%d %.80s", code, body)
	}
	if n := sent.Load(); n > 64<<20 { // most of that is in the buffers of the sockets
		t.Errorf("the origin sent %d bytes", n)
	}
	if s := b.cache.Stats(); s.Objects != 0 {
		t.Errorf("%+v", s)
	}
}

// The index of 100,000 objects, 40 GB of them, takes less than 150 MB of a process that serves from it. MAAS_OBJECTS makes so
// many of them; without it there are fewer.
func TestResidentMemory(t *testing.T) {
	count := 300
	if n, err := strconv.Atoi(os.Getenv("MAAS_OBJECTS")); err == nil {
		count = n
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Log("this system does not say how much memory a process has")
		return
	}
	dir := t.TempDir()
	fillStore(t, dir, count)
	began := time.Now()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	stdin, _ := cmd.StdinPipe()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	through, err := url.Parse(lines.Text())
	if err != nil || through.Host == "" {
		t.Fatalf("the proxy says %q", lines.Text())
	}
	opened := time.Since(began)
	transport := &http.Transport{Proxy: http.ProxyURL(through)}
	defer transport.CloseIdleConnections()
	for i := range 100 {
		resp, err := (&http.Client{Transport: transport}).Get(storedURL(i))
		if err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || n != storedSize {
			t.Fatalf("%s: %s, %d bytes", storedURL(i), resp.Status, n)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	rss := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	kb, _ := strconv.Atoi(string(rss[1]))
	t.Logf("%d objects: opened in %v, %d MB resident", count, opened, kb>>10)
	if kb > 150<<10 {
		t.Errorf("%d kB are resident", kb)
	}
}

const storedSize = 400 << 10

func storedURL(i int) string {
	return fmt.Sprintf("http://127.0.0.1:8080/ubuntu/pool/main/p/package-%d/package-%d_1.0-1ubuntu1_amd64.deb", i, i)
}

// fillStore makes a store with bodies that take no room.
func fillStore(t *testing.T, dir string, count int) {
	t.Helper()
	store, err := objects.Open(dir, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for i := range count {
		f, err := store.Create(0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0}, storedSize-1); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		h := http.Header{"Content-Type": {"application/vnd.debian.binary-package"}, "Etag": {`"5f3e2a10-64000"`}, "Date": {now.UTC().Format(http.TimeFormat)},
			"Last-Modified": {"Sun, 22 Nov 2020 12:00:00 GMT"}, "Accept-Ranges": {"bytes"}, "Server": {"Apache/2.4.58 (Ubuntu)"}}
		m := &objects.Meta{URL: storedURL(i), Status: 200, Header: h, Requested: now, Received: now}
		if err := f.Commit(m, storedSize, func() bool { return false }); err != nil {
			t.Fatal(err)
		}
	}
}
