package wire_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/rpctest"
)

// ledger counts each fact once, as a region's database does.
type ledger struct {
	mu   sync.Mutex // guards the fields below
	last map[string]uint64
	data []string
	came int // with repetitions
}

func (l *ledger) take(_ context.Context, _ string, facts []rpc.Fact) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range facts {
		l.came++
		if f.Seq > l.last[f.Outbox] {
			l.last[f.Outbox] = f.Seq
			l.data = append(l.data, string(f.Data))
		}
	}
	return nil
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.data)
}

// startRack runs a rack that keeps the topic "dns" in what it returns.
func startRack(t testing.TB, dial rpctest.Dial) (content func() map[string][]byte, outbox *rpc.Outbox, stop func()) {
	t.Helper()
	replica, err := rpc.OpenReplica(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if outbox, err = rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(t.TempDir(), "outbox")}); err != nil {
		t.Fatal(err)
	}
	var served atomic.Pointer[map[string][]byte]
	served.Store(&map[string][]byte{})
	rack, err := rpc.NewRack(rpc.RackConfig{
		Replica: replica, Outbox: outbox, Dial: dial, MaxPause: 10 * time.Millisecond,
		Topics: []rpc.Topic{{Name: "dns", Apply: func(_ context.Context, objects map[string][]byte) error {
			served.Store(&objects)
			return nil
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rack.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("rack: %v", err)
		}
		replica.Close()
		outbox.Close()
	})
	t.Cleanup(stop)
	return func() map[string][]byte { return *served.Load() }, outbox, stop
}

// Whatever happens to connections, each fact counts once and in order, and the rack ends up with the region's state.
func TestNothingIsLostOrTakenTwice(t *testing.T) {
	for name, connect := range map[string]rpctest.Connect{
		"loopback": func(_ *testing.T, r *rpc.Region) rpctest.Dial { return rpc.Loopback(r, rpctest.Rack) },
		"wire": func(t *testing.T, r *rpc.Region) rpctest.Dial {
			s := newSite(t, r)
			return s.dialer(s.identity(t, rpctest.Rack)).Dial
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := &ledger{last: map[string]uint64{}}
			region := rpc.NewRegion(rpc.RegionConfig{Facts: l.take})
			var faults rpctest.Faults
			content, outbox, stop := startRack(t, faults.Wrap(connect(t, region)))
			const facts = 60
			random := rand.New(rand.NewPCG(1, 2))
			for i := range facts {
				faults.LoseAck(random.IntN(4) == 0)
				faults.Duplicate(random.IntN(4) == 0)
				faults.Down(random.IntN(5) == 0)
				faults.Delay(time.Duration(random.IntN(3)) * time.Millisecond)
				if err := outbox.Add("lease", i); err != nil {
					t.Fatal(err)
				}
				region.State(rpctest.Rack).Set("dns", map[string][]byte{fmt.Sprint("host-", i%7): []byte(fmt.Sprint(i))})
				if random.IntN(3) == 0 {
					faults.Cut()
				}
				time.Sleep(time.Duration(random.IntN(4)) * time.Millisecond) // spreads the facts; the result does not depend on it
			}
			faults.LoseAck(false)
			faults.Down(false)
			waitFor(t, "all facts are taken", func() bool { n, _ := outbox.Pending(); return n == 0 && l.count() == facts })
			waitFor(t, "the state is that of the region", func() bool {
				now := content()
				return len(now) == 1 && string(now[fmt.Sprint("host-", (facts-1)%7)]) == fmt.Sprint(facts-1)
			})
			stop()
			for i, data := range l.data {
				if data != fmt.Sprint(i) {
					t.Fatalf("fact %d is %s", i, data)
				}
			}
		})
	}
}

// What a client with a certificate sends is bounded, and counts for nothing before hello.
func TestRequestsAreBounded(t *testing.T) {
	l := &ledger{last: map[string]uint64{}}
	s := newSite(t, rpc.NewRegion(rpc.RegionConfig{Facts: l.take}))
	cfg, err := s.identity(t, "rack-1").TLS()
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{TLSClientConfig: cfg, Protocols: &protocols}
	defer transport.CloseIdleConnections()
	post := func(path string, body []byte) int {
		response, err := (&http.Client{Transport: transport}).Post("https://"+s.address+path, "", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	fact := []byte(`[{"seq":1,"kind":"lease","data":1}]`)
	if code := post("/rpc/1/facts", fact); code != http.StatusForbidden || l.came != 0 {
		t.Errorf("before hello: %d, %d facts", code, l.came)
	}
	if code := post("/rpc/1/hello", nil); code != http.StatusOK {
		t.Fatalf("hello: %d", code)
	}
	for want, body := range map[int][]byte{
		http.StatusBadRequest:            []byte(`[{"seq":`),
		http.StatusRequestEntityTooLarge: []byte(`["` + strings.Repeat("x", 17<<20)),
		http.StatusOK:                    []byte(`[{"seq":1,"kind":"lease","data":1,"colour":"newer"}]`),
	} {
		if code := post("/rpc/1/facts", body); code != want {
			t.Errorf("%d bytes: %d, want %d", len(body), code, want)
		}
	}
	if code := post("/rpc/1/unknown", nil); code != http.StatusNotFound {
		t.Errorf("unknown path: %d", code)
	}
	if l.came != 1 {
		t.Errorf("%d facts were taken", l.came)
	}
}

// counted counts what a connection carries, both ways.
type counted struct {
	net.Conn
	bytes *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}

// BenchmarkResyncOverWire is a rack that comes with nothing to a site of 10,000 machines, state on disk included.
func BenchmarkResyncOverWire(b *testing.B) {
	region := rpc.NewRegion(rpc.RegionConfig{})
	objects := map[string][]byte{}
	for i := range 10_000 {
		objects[fmt.Sprintf("machine/00:16:3e:00:%02x:%02x", i>>8, i&255)] = bytes.Repeat([]byte("x"), 300)
	}
	region.State("rack-1").Set("dns", objects)
	s := newSite(b, region)
	id := s.identity(b, "rack-1")
	b.ReportAllocs()
	for b.Loop() {
		content, _, stop := startRack(b, s.dialer(id).Dial)
		for len(content()) < len(objects) {
			time.Sleep(time.Millisecond)
		}
		stop()
	}
}

// BenchmarkPropagation is from a change in the region until ten racks serve it, each from its own disk.
func BenchmarkPropagation(b *testing.B) {
	region := rpc.NewRegion(rpc.RegionConfig{})
	s := newSite(b, region)
	objects := map[string][]byte{}
	for i := range 10_000 {
		objects[fmt.Sprint("machine-", i)] = bytes.Repeat([]byte("x"), 300)
	}
	var racks []func() map[string][]byte
	for i := range 10 {
		name := fmt.Sprint("rack-", i)
		region.State(name).Set("dns", objects)
		content, _, _ := startRack(b, s.dialer(s.identity(b, name)).Dial)
		racks = append(racks, content)
	}
	for _, content := range racks {
		for len(content()) < len(objects) {
			time.Sleep(time.Millisecond)
		}
	}
	n := 0
	for b.Loop() {
		n++
		value := fmt.Sprint(n)
		for i := range racks {
			region.State(fmt.Sprint("rack-", i)).Change("dns", map[string][]byte{"machine-7": []byte(value)}, nil)
		}
		for _, content := range racks {
			for string(content()["machine-7"]) != value {
				time.Sleep(100 * time.Microsecond)
			}
		}
	}
}

// BenchmarkIdle reports how many bytes a second a session without work carries, TLS included. Run it with -benchtime=1x.
func BenchmarkIdle(b *testing.B) {
	region := rpc.NewRegion(rpc.RegionConfig{})
	region.State("rack-1").Set("dns", nil)
	s := newSite(b, region)
	var bytes atomic.Int64
	d := s.dialer(s.identity(b, "rack-1"))
	d.Net = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return counted{conn, &bytes}, err
	}
	startRack(b, d.Dial)
	for len(region.Racks()) == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Second)
	const watch = 20 * time.Second
	before := bytes.Load()
	for b.Loop() {
		time.Sleep(watch)
		b.ReportMetric(float64(bytes.Load()-before)/watch.Seconds(), "B/s")
		before = bytes.Load()
	}
}
