package rpctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/rpc"
)

// Rack is the name of the rack in the suite.
const Rack = "rack-1"

// patience bounds each wait of a test.
const patience = 20 * time.Second

// Connect makes what connects the rack named [Rack] to a region. What it opens ends with the test.
type Connect func(t *testing.T, region *rpc.Region) Dial

// env is a region and a connection to it.
type env struct {
	region *rpc.Region
	conn   rpc.Conn

	mu    sync.Mutex // guards the fields below
	facts []string
	fail  error
}

// Run tests that connections keep the contract of rpc.Conn.
func Run(t *testing.T, connect Connect) {
	for name, test := range map[string]func(*testing.T, *env){
		"state": testState, "large state": testLargeState, "metadata": testMetadata, "facts": testFacts, "calls up": testCallsUp, "calls down": testCallsDown,
		"deadlines": testDeadlines, "many at once": testConcurrency, "close": testClose,
	} {
		t.Run(name, func(t *testing.T) {
			e := &env{}
			var methods rpc.Methods
			offer(&methods)
			e.region = rpc.NewRegion(rpc.RegionConfig{Facts: e.take, Methods: &methods})
			conn, err := connect(t, e.region)(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if c, ok := conn.(io.Closer); ok {
				t.Cleanup(func() { c.Close() })
			}
			e.conn = conn
			test(t, e)
		})
	}
}

func offer(m *rpc.Methods) {
	rpc.Offer(m, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	rpc.Offer(m, "who", func(ctx context.Context, _ int) (string, error) { return rpc.CallingRack(ctx), nil })
	rpc.Offer(m, "about", func(ctx context.Context, _ int) (map[string]string, error) { return rpc.Metadata(ctx), nil })
	rpc.Offer(m, "find", func(context.Context, string) (string, error) { return "", fmt.Errorf("the name: %w", fs.ErrNotExist) })
	rpc.Offer(m, "echo", func(_ context.Context, b []byte) ([]byte, error) { return b, nil })
	rpc.Offer(m, "panic", func(context.Context, int) (int, error) { panic("broken") })
	rpc.Offer(m, "wait", func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
}

func (e *env) take(_ context.Context, rack string, facts []rpc.Fact) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	for _, f := range facts {
		e.facts = append(e.facts, fmt.Sprint(rack, " ", f.Outbox, " ", f.Seq, " ", string(f.Data)))
	}
	return nil
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func testState(t *testing.T, e *env) {
	ctx := within(t)
	s := e.region.State(Rack)
	s.Set("dns", map[string][]byte{"a": []byte("1"), "b": {}, "c": []byte("3")})
	u, err := e.conn.Next(ctx, "dns", rpc.Position{})
	if err != nil || !u.Whole || u.Topic != "dns" || len(u.Objects) != 3 || string(u.Objects[2].Value) != "3" {
		t.Fatalf("first update: %+v, %v", u, err)
	}
	got := make(chan rpc.Update, 1)
	go func() {
		next, err := e.conn.Next(ctx, "dns", u.Position)
		if err != nil {
			t.Errorf("Next: %v", err)
		}
		got <- next
	}()
	s.Change("dns", map[string][]byte{"a": []byte("10")}, []string{"c"})
	next := <-got
	if next.Whole || next.Position.Revision <= u.Position.Revision || len(next.Objects) != 2 || string(next.Objects[0].Value) != "10" || !next.Objects[1].Deleted {
		t.Errorf("change: %+v", next)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := e.conn.Next(short, "dns", next.Position); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a change: %v", err)
	}
	s.Set("empty", nil)
	if u, err := e.conn.Next(ctx, "empty", rpc.Position{}); err != nil || !u.Whole || len(u.Objects) != 0 {
		t.Errorf("empty topic: %+v, %v", u, err)
	}
}

func testLargeState(t *testing.T, e *env) {
	objects := map[string][]byte{"huge": bytes.Repeat([]byte("0123456789abcdef"), 1<<18)} // 4 MiB
	for i := range 5000 {
		objects[fmt.Sprintf("machine-%04d", i)] = bytes.Repeat([]byte{byte(i)}, 300)
	}
	e.region.State(Rack).Set("boot", objects)
	u, err := e.conn.Next(within(t), "boot", rpc.Position{})
	if err != nil || len(u.Objects) != len(objects) {
		t.Fatalf("%d objects, %v", len(u.Objects), err)
	}
	for _, o := range u.Objects {
		if !bytes.Equal(o.Value, objects[o.Key]) {
			t.Fatalf("object %s differs", o.Key)
		}
	}
}

// testMetadata tries text that no header holds as it is.
func testMetadata(t *testing.T, e *env) {
	defer e.accept(t)()
	want := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "text": "a=b&c\r\n\x7fü;"}
	for name, c := range map[string]rpc.Caller{"up": e.conn, "down": e.region.Rack(Rack)} {
		got, err := rpc.Do[map[string]string](rpc.WithMetadata(within(t), want), c, "about", 0)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := rpc.Do[map[string]string](within(t), c, "about", 0); err != nil || len(got) != 0 {
			t.Errorf("%s, without: %q, %v", name, got, err)
		}
		large := map[string]string{"large": string(bytes.Repeat([]byte("x"), 2000))}
		if got, err := rpc.Do[map[string]string](rpc.WithMetadata(within(t), large), c, "about", 0); err != nil || len(got) != 0 {
			t.Errorf("%s, too large: %d, %v", name, len(got), err)
		}
	}
	s := e.region.State(Rack)
	s.Set("told", map[string][]byte{"a": {}})
	s.Carry(want)
	s.Set("dns", map[string][]byte{"a": {}})
	s.Carry(nil)
	for topic, carried := range map[string]map[string]string{"told": nil, "dns": want} {
		u, err := e.conn.Next(within(t), topic, rpc.Position{})
		if err != nil || !maps.Equal(u.Metadata, carried) {
			t.Errorf("%s: %q, %v", topic, u.Metadata, err)
		}
	}
}

func testFacts(t *testing.T, e *env) {
	ctx := within(t)
	facts := []rpc.Fact{{Outbox: "o", Seq: 1, Kind: "lease", Data: []byte(`"a"`)}, {Outbox: "o", Seq: 2, Kind: "lease", Data: []byte(`"b"`)}}
	e.fail = &rpc.Error{Code: "unavailable", Message: "the database is away"}
	if err := e.conn.Deliver(ctx, facts); err == nil {
		t.Error("a refusal must reach the rack")
	}
	e.mu.Lock()
	e.fail = nil
	e.mu.Unlock()
	if err := e.conn.Deliver(ctx, facts); err != nil {
		t.Fatal(err)
	}
	if want := []string{Rack + ` o 1 "a"`, Rack + ` o 2 "b"`}; !slices.Equal(e.facts, want) {
		t.Errorf("got %q, want %q", e.facts, want)
	}
}

func testCallsUp(t *testing.T, e *env) { testCalls(t, e.conn, Rack) }

func testCallsDown(t *testing.T, e *env) {
	stop := e.accept(t)
	testCalls(t, e.region.Rack(Rack), "")
	stop()
	if _, err := rpc.Do[int](within(t), e.region.Rack(Rack), "double", 2); !errors.Is(err, rpc.ErrUnavailable) {
		t.Errorf("after the rack left: %v", err)
	}
}

// accept offers methods to the region until stop, which waits until the region knows.
func (e *env) accept(t *testing.T) (stop func()) {
	t.Helper()
	var methods rpc.Methods
	offer(&methods)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.conn.Accept(ctx, &methods)
	}()
	until(t, "the rack can be called", func() bool { return len(e.region.Racks()) == 1 })
	return func() {
		cancel()
		<-done
		until(t, "the rack has left", func() bool { return len(e.region.Racks()) == 0 })
	}
}

// until waits for something that another process, for all a test knows, does.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func testCalls(t *testing.T, c rpc.Caller, who string) {
	ctx := within(t)
	if n, err := rpc.Do[int](ctx, c, "double", 2); n != 4 || err != nil {
		t.Errorf("double: %d, %v", n, err)
	}
	if name, err := rpc.Do[string](ctx, c, "who", 0); name != who || err != nil {
		t.Errorf("who: %q, %v", name, err)
	}
	large := bytes.Repeat([]byte("x"), 3<<20)
	if back, err := rpc.Do[[]byte](ctx, c, "echo", large); !bytes.Equal(back, large) || err != nil {
		t.Errorf("echo: %d bytes, %v", len(back), err)
	}
	for method, want := range map[string]error{"find": fs.ErrNotExist, "triple/../x y": rpc.ErrUnknownMethod, "double": rpc.ErrInvalid} {
		_, err := rpc.Do[int](ctx, c, method, "text")
		if remote := (*rpc.Error)(nil); !errors.Is(err, want) || !errors.As(err, &remote) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if _, err := rpc.Do[int](ctx, c, "panic", 1); err == nil {
		t.Error("a panic must become an error")
	}
}

func testDeadlines(t *testing.T, e *env) {
	defer e.accept(t)()
	for name, c := range map[string]rpc.Caller{"up": e.conn, "down": e.region.Rack(Rack)} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		if _, err := rpc.Do[int](ctx, c, "wait", 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := rpc.Do[int](ctx, c, "wait", 0); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", name, err)
		}
	}
}

func testConcurrency(t *testing.T, e *env) {
	defer e.accept(t)()
	ctx := within(t)
	var wg sync.WaitGroup
	for i := range 300 {
		for _, c := range []rpc.Caller{e.conn, e.region.Rack(Rack)} {
			wg.Go(func() {
				if n, err := rpc.Do[int](ctx, c, "double", i); n != 2*i || err != nil {
					t.Errorf("double %d: %d, %v", i, n, err)
				}
			})
		}
	}
	wg.Wait()
}

func testClose(t *testing.T, e *env) {
	closer, ok := e.conn.(io.Closer)
	if !ok {
		return // nothing to close
	}
	ended := make(chan error, 2)
	go func() {
		_, err := e.conn.Next(t.Context(), "dns", rpc.Position{})
		ended <- err
	}()
	go func() {
		_, err := rpc.Do[int](t.Context(), e.conn, "wait", 0)
		ended <- err
	}()
	time.Sleep(10 * time.Millisecond) // so that both are likely to wait
	closer.Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, rpc.ErrUnavailable) {
			t.Errorf("on a closed connection: %v", err)
		}
	}
}
