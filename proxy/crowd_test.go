package proxy_test

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/proxy"
)

// A hundred machines ask for something that is not there at the same moment. The origin is asked once, and what it has sent is
// with each of them before it sends more. MAAS_CROWD_MB makes it larger, to see how long after the origin's first byte theirs
// come.
func TestACrowd(t *testing.T) {
	size, clients := int64(4<<20), 100
	if n, err := strconv.Atoi(os.Getenv("MAAS_CROWD_MB")); err == nil {
		size = int64(n) << 20
	}
	var first atomic.Int64
	var asked sync.WaitGroup
	piece := make([]byte, 1<<20)
	begun := make(chan struct{})
	b := setUp(t, proxy.CacheConfig{Limit: 1 << 34}, func(w http.ResponseWriter, _ *http.Request) {
		asked.Wait() // all of them have sent their request
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write(piece[:1000])
		first.Store(time.Now().UnixNano())
		w.(http.Flusher).Flush()
		<-begun
		for left := size - 1000; left > 0; left -= min(left, int64(len(piece))) {
			w.Write(piece[:min(left, int64(len(piece)))])
		}
	})
	lag, took := make([]time.Duration, clients), make([]time.Duration, clients)
	var began, done sync.WaitGroup
	asked.Add(clients)
	for i := range clients {
		began.Add(1)
		done.Go(func() {
			resp, err := b.client.Do(announced(t.Context(), t, b.origin.URL+"/pool/x.deb", asked.Done))
			if err != nil {
				t.Error(err)
				began.Done()
				return
			}
			defer resp.Body.Close()
			_, err = io.ReadFull(resp.Body, make([]byte, 1))
			lag[i] = time.Duration(time.Now().UnixNano() - first.Load())
			began.Done()
			n, err2 := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, 256<<10))
			took[i] = time.Duration(time.Now().UnixNano() - first.Load())
			if err != nil || err2 != nil || n != size-1 {
				t.Errorf("%d bytes, %v, %v", n, err, err2)
			}
		})
	}
	began.Wait()
	close(begun)
	done.Wait()
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	slices.Sort(lag)
	slices.Sort(took)
	t.Logf("%d bytes to %d clients: first byte %v (median) to %v after the origin's, all by %v (median) to %v", size, clients,
		lag[clients/2], lag[clients-1], took[clients/2], took[clients-1])
}
