package maasapi_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

// large is a site with n machines in SQLite on disk.
func large(t *testing.T, n int) *site {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "maas.db"), schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	inv, err := inventory.Open(t.Context(), db, inventory.Config{PasswordCost: 10})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{inv: inv, power: &fakePower{}}
	s.serve(t, maasapi.Config{})
	if code, body := s.do("POST", base+"subnets/", url.Values{"cidr": {"10.0.0.0/16"}, "gateway_ip": {"10.0.0.1"}}); code != 200 {
		t.Fatal(code, body)
	}
	err = inv.Atomically(t.Context(), func(ctx context.Context) error {
		for i := range n {
			_, err := inv.Machines.Create(ctx, inventory.Machine{Hostname: fmt.Sprint("m", i), Status: inventory.StatusReady, Interfaces: []inventory.Interface{{
				Interface: ipam.Interface{Kind: ipam.Physical, MAC: []byte{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}, Enabled: true},
			}}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pace sends requests at a rate for a time and returns how long each took, from the moment when it was due.
func pace(t *testing.T, rate int, during time.Duration, send func(i int) int) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range int(during.Seconds() * float64(rate)) {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
		<-time.After(time.Until(due))
		wg.Go(func() {
			code := send(i)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(due))
			if code != http.StatusOK {
				t.Errorf("request %d: %d", i, code)
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[int(float64(len(sorted)-1)*p)]
}

// Reads and writes at once, each signed with a key of its own nonce, with many machines in the store. By hand it runs with
// MAAS_TEST_LOAD_SECONDS, and with MAAS_TEST_MACHINES machines.
func TestLoad(t *testing.T) {
	seconds, _ := strconv.Atoi(os.Getenv("MAAS_TEST_LOAD_SECONDS"))
	machines, _ := strconv.Atoi(cmp.Or(os.Getenv("MAAS_TEST_MACHINES"), "50"))
	reads, writes := 1000, 300
	during := time.Duration(seconds) * time.Second
	if seconds == 0 {
		reads, writes, during = 25_000, 10_000, time.Millisecond // 25 and 10, practically at once
	}
	s := large(t, machines)
	key, err := s.api.CreateKey(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	handler := s.api.Handler()
	send := func(method, path, form, nonce string) int {
		r := httptest.NewRequest(method, base+path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", oauth(key, nonce, time.Now()))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	var wg sync.WaitGroup
	var read, written []time.Duration
	wg.Go(func() {
		read = pace(t, reads, during, func(i int) int {
			if i%2 == 0 {
				return send("GET", "subnets/1/", "", fmt.Sprint("r", i))
			}
			return send("GET", fmt.Sprintf("machines/m%d/", i%machines), "", fmt.Sprint("r", i))
		})
	})
	wg.Go(func() {
		written = pace(t, writes, during, func(i int) int {
			return send("PUT", fmt.Sprintf("machines/m%d/", i%machines), fmt.Sprint("description=", i), fmt.Sprint("w", i))
		})
	})
	wg.Wait()
	began := time.Now()
	if code := send("GET", "machines/", "", "all"); code != http.StatusOK {
		t.Errorf("list: %d", code)
	}
	for name, took := range map[string][]time.Duration{"reads": read, "writes": written} {
		t.Logf("%s: %d, p50 %s, p99 %s, longest %s", name, len(took), percentile(took, .5), percentile(took, .99), took[len(took)-1])
	}
	t.Logf("list of %d machines: %s", machines, time.Since(began))
}
