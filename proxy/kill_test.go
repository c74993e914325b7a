package proxy_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

// killDir makes the test binary a proxy that caches in that directory, see TestKilledWhileItFills.
const killDir = "MAAS_TEST_PROXY_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(killDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: dir, Limit: 1 << 40})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	p := proxy.New(proxy.Config{Cache: cache})
	if err := p.Update(open); err != nil {
		os.Exit(1)
	}
	fmt.Println(httptest.NewServer(p).URL)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test is gone
}

// content returns what the origin has at a path: its number, again and again.
func content(path string) []byte { return bytes.Repeat([]byte(path+"\n"), 1_500_000/len(path)) }

// A proxy that is killed at any moment never serves a body that is not the origin's when it is started again.
func TestKilledWhileItFills(t *testing.T) {
	rounds := 5
	if n, err := strconv.Atoi(os.Getenv("MAAS_KILLS")); err == nil {
		rounds = n
	}
	var breaks atomic.Bool
	var sent atomic.Int64
	breaks.Store(true)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := content(r.URL.Path)
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Etag", `"`+r.URL.Path+`"`)
		cut := -1
		if breaks.Load() && rand.IntN(4) == 0 {
			cut = rand.IntN(len(body))
		}
		time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
		http.ServeContent(&breaking{w, cut, &sent}, r, "", time.Time{}, bytes.NewReader(body))
	}))
	defer origin.Close()
	dir := t.TempDir()
	for round := range rounds {
		life := time.Duration(rand.IntN(60)) * time.Millisecond
		killed(t, dir, func(client *http.Client) {
			end := time.After(life)
			for i := 0; ; i++ {
				select {
				case <-end:
					return
				default:
					check(t, client, origin.URL, fmt.Sprintf("/%d/%d", round, i), false)
				}
			}
		})
	}
	breaks.Store(false)
	killed(t, dir, func(client *http.Client) {
		for i := range 40 {
			path := fmt.Sprintf("/%d/%d", i%rounds, i/rounds)
			check(t, client, origin.URL, path, true)
			check(t, client, origin.URL, path+"/abandoned", true)
		}
	})
}

// killed runs f with a client of a proxy process, and kills that in the middle of a request.
func killed(t *testing.T, dir string, f func(*http.Client)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	stdin, _ := cmd.StdinPipe()
	defer stdin.Close()
	stdout, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	through, err := url.Parse(lines.Text())
	if err != nil || through.Host == "" {
		t.Fatalf("the proxy says %q", lines.Text())
	}
	transport := &http.Transport{Proxy: http.ProxyURL(through)}
	defer transport.CloseIdleConnections()
	f(&http.Client{Transport: transport})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// check reads the path and compares it with what the origin has. In passing it begins another that
// it does not read to its end.
func check(t *testing.T, client *http.Client, origin, path string, whole bool) {
	t.Helper()
	part, err := http.NewRequest("GET", origin+path+"/abandoned", nil)
	if err != nil {
		t.Fatal(err)
	}
	part.Header.Set("Range", "bytes=1100000-1200000")
	if resp, err := client.Do(part); err == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 50_000)
		resp.Body.Close()
	}
	if abandoned, err := client.Get(origin + path + "/abandoned"); err == nil {
		abandoned.Body.Close()
	}
	resp, err := client.Get(origin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if whole && err != nil {
		t.Error(path, err)
	}
	if err == nil && !bytes.Equal(body, content(path)) {
		t.Errorf("%s: %d bytes that are not the origin's", path, len(body))
	}
}
