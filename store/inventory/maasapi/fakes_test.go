package maasapi

import (
	"context"
	"io/fs"
	"iter"
	"net"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// noPower has no machine to switch.
type noPower struct{}

func (noPower) Power(context.Context, inventory.Machine, power.Action, PowerOptions) (power.Result, error) {
	return power.Result{}, nil
}

func (noPower) Kinds() power.Registry { return power.NewRegistry(power.Manual()) }

// faked returns an API whose inventory has no database: whatever a test does not fake panics.
func faked(t *testing.T, s stores) *API {
	t.Helper()
	a, err := New(Config{Inventory: new(inventory.Inventory), Power: noPower{}, Vendor: func([]byte) string { return "Acme" }})
	if err != nil {
		t.Fatal(err)
	}
	if s.tx == nil {
		s.tx = direct{}
	}
	a.stores = s
	return a
}

// send sends a request as the administrator.
func send(a *API, method, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.Local().ServeHTTP(w, r)
	return w
}

// expect is a request and its answer.
type expect struct {
	do   string // method and path below the MAAS API, or the whole path
	form url.Values
	code int
	want string // in the body
}

func (e expect) check(t *testing.T, a *API) {
	t.Helper()
	method, path, _ := strings.Cut(e.do, " ")
	if !strings.HasPrefix(path, "/") {
		path = a.base + path
	}
	if w := send(a, method, path, e.form); w.Code != e.code || !strings.Contains(w.Body.String(), e.want) {
		t.Errorf("%s: %d %s, want %d with %s", e.do, w.Code, w.Body, e.code, e.want)
	}
}

// direct runs transactions without isolation.
type direct struct{}

func (direct) Atomically(ctx context.Context, f func(context.Context) error) error { return f(ctx) }

// memAnswers keeps answers.
type memAnswers struct {
	mu   sync.Mutex
	kept map[string]inventory.Answer
}

func (*memAnswers) Digest(data []byte) string { return string(data) }

func (m *memAnswers) Begin(_ context.Context, a inventory.Answer) (inventory.Answer, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old, ok := m.kept[a.Key]; ok {
		return old, false, nil
	}
	if m.kept == nil {
		m.kept = map[string]inventory.Answer{}
	}
	m.kept[a.Key] = a
	return a, true, nil
}

func (m *memAnswers) End(_ context.Context, a inventory.Answer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[a.Key] = a; a.Status == 0 {
		delete(m.kept, a.Key)
	}
	return nil
}

// memFeed is a feed of changes, a log and boots.
type memFeed struct {
	mu        sync.Mutex
	changes   []store.Change
	compacted int64 // revisions up to it are gone
	events    []inventory.Event
	audit     []inventory.Event // of the audit log, which another memFeed holds
	boots     []pxe.Attempt
	news      chan struct{}
}

func (m *memFeed) do(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	if m.news != nil {
		close(m.news)
	}
	m.news = make(chan struct{})
}

func (m *memFeed) Revision(context.Context) (rev int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.changes); n > 0 {
		rev = m.changes[n-1].Rev
	}
	return rev, nil
}

func (m *memFeed) Consistently(ctx context.Context, f func(context.Context) error) error {
	return f(ctx)
}

func (m *memFeed) Watch(ctx context.Context, from int64) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		for ctx.Err() == nil {
			m.mu.Lock()
			if from < m.compacted {
				m.mu.Unlock()
				yield(store.Change{}, store.ErrCompacted)
				return
			}
			fresh := slices.DeleteFunc(slices.Clone(m.changes), func(c store.Change) bool { return c.Rev <= from })
			news := m.news
			m.mu.Unlock()
			for _, c := range fresh {
				if from = c.Rev; !yield(c, nil) {
					return
				}
			}
			if len(fresh) > 0 {
				continue
			}
			select {
			case <-news:
			case <-ctx.Done():
			}
		}
	}
}

func (m *memFeed) After(_ context.Context, _, after int64, limit int) (out []inventory.Event, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if e.ID > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memFeed) Last(_ context.Context, _ int64, limit int) ([]inventory.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events[max(len(m.events)-limit, 0):]), nil
}

func (m *memFeed) Find(_ context.Context, f inventory.EventFilter) (out []inventory.Event, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if (f.Level == "" || f.Level == e.Level) && (f.User == "" || f.User == e.User) && (f.Kind == "" || f.Kind == e.Kind) && len(out) < f.Limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memFeed) Of(context.Context, ...net.HardwareAddr) ([]pxe.Attempt, error) {
	return m.boots, nil
}

func (m *memFeed) Since(_ context.Context, step int64, limit int) ([]pxe.Attempt, int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	to := min(step+int64(limit), int64(len(m.boots)))
	return m.boots[step:to], to, nil
}

func (m *memFeed) LastStep(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.boots)), nil
}

// memNodes are machines by MAC address.
type memNodes map[string]inventory.Machine

func (m memNodes) MachineByMAC(_ context.Context, mac net.HardwareAddr) (inventory.Machine, error) {
	if found, ok := m[mac.String()]; ok {
		return found, nil
	}
	return inventory.Machine{}, fs.ErrNotExist
}

// memDiscoveries are devices that racks have seen.
type memDiscoveries struct {
	all      []inventory.Discovery
	view     inventory.DiscoveryView
	cleared  []inventory.ClearWhat
	promoted inventory.Promotion
	ignored  []inventory.IgnoredDevice
}

func (m *memDiscoveries) List(_ context.Context, view inventory.DiscoveryView) ([]inventory.Discovery, error) {
	m.view = view
	return m.all, nil
}

func (m *memDiscoveries) Get(_ context.Context, key string) (inventory.Discovery, error) {
	for _, d := range m.all {
		if d.Key() == key {
			return d, nil
		}
	}
	return inventory.Discovery{}, fs.ErrNotExist
}

func (m *memDiscoveries) Clear(_ context.Context, what inventory.ClearWhat) error {
	m.cleared = append(m.cleared, what)
	return nil
}

func (m *memDiscoveries) Forget(_ context.Context, addr netip.Addr, mac net.HardwareAddr) (n int, err error) {
	for _, d := range m.all {
		if d.Addr == addr && d.MAC.String() == mac.String() {
			n++
		}
	}
	return n, nil
}

func (m *memDiscoveries) Promote(_ context.Context, p inventory.Promotion) (inventory.Promoted, error) {
	m.promoted = p
	if p.Device {
		return inventory.Promoted{Device: &inventory.Device{SystemID: "d1", FQDN: p.Hostname + ".maas"}, Addr: p.Addr}, nil
	}
	return inventory.Promoted{Machine: &inventory.Machine{SystemID: "m1", FQDN: p.Hostname + ".maas"}}, nil
}

func (m *memDiscoveries) Ignore(ctx context.Context, addr netip.Addr, mac net.HardwareAddr, reason string) (inventory.IgnoredDevice, error) {
	d := inventory.IgnoredDevice{Rule: mac.String(), Addr: addr, Reason: reason}
	if n, err := m.Forget(ctx, addr, mac); n == 0 || err != nil {
		return d, fs.ErrNotExist
	}
	m.ignored = append(m.ignored, d)
	return d, nil
}

func (m *memDiscoveries) Unignore(_ context.Context, rule string) error {
	before := len(m.ignored)
	m.ignored = slices.DeleteFunc(m.ignored, func(d inventory.IgnoredDevice) bool { return d.Rule == rule })
	if len(m.ignored) == before {
		return fs.ErrNotExist
	}
	return nil
}

func (m *memDiscoveries) Ignored(context.Context) ([]inventory.IgnoredDevice, error) {
	return m.ignored, nil
}

func (m *memDiscoveries) DHCPServers(context.Context) ([]inventory.DHCPServer, error) {
	return []inventory.DHCPServer{{Rack: "rack1", Link: "eth0", VID: 7, Addr: netip.MustParseAddr("192.0.2.66")}}, nil
}
