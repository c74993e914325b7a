package try

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// Endurance is the outcome of a load that was kept for a time.
type Endurance struct {
	Seconds float64 `json:"seconds"`
	Loads   []Load  `json:"loads"`
	Grows   []Slope `json:"grows"`
}

// Load is a kind of work and how it went.
type Load struct {
	Name   string `json:"name"`
	Done   int64  `json:"done"`
	Failed int64  `json:"failed"`
	Error  string `json:"error,omitempty"` // of the first failure
}

// Slope has a quantity at the first and the last look, and how much it grows in an hour: the slope
// of a line through the second half of the looks.
type Slope struct {
	Name    string  `json:"name"`
	First   float64 `json:"first"`
	Last    float64 `json:"last"`
	PerHour float64 `json:"per_hour"`
}

// leaseTime is the length of leases in an endurance run. Clients renew twice in this time.
const leaseTime = 120 * time.Second

// looks is the number of looks at what may grow.
const looks = 120

// load is a kind of work under way.
type load struct {
	name  string
	every time.Duration // between the beginnings of two pieces of work
	work  func(context.Context) error

	done, failed atomic.Int64
	once         sync.Once
	first        error
}

// run works until ctx ends.
func (l *load) run(ctx context.Context) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch err := l.work(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			l.failed.Add(1)
			l.once.Do(func() { l.first = err })
		default:
			l.done.Add(1)
		}
	}
}

// endure keeps a mixed load on the site: clients that renew their leases, machines that boot again,
// questions for names, requests to the proxy and changes through the API.
func (l *lab) endure(ctx context.Context, cfg Config, machines []*machine, out io.Writer) (Endurance, error) {
	if err := l.shortLeases(ctx); err != nil {
		return Endurance{}, err
	}
	stop, proxied, err := l.mirror(ctx)
	if err != nil {
		return Endurance{}, err
	}
	defer stop()
	// Half of the answers a second that a DNS server gives to one network.
	loads := []*load{
		{name: "boots", every: 2 * time.Second, work: l.rebooter(machines)},
		{name: "names", every: 10 * time.Millisecond, work: func(ctx context.Context) error { return someName(ctx, machines) }},
		{name: "proxy", every: 20 * time.Millisecond, work: proxied},
		{name: "changes", every: 500 * time.Millisecond, work: func(ctx context.Context) error { return l.change(ctx, machines) }},
	}
	l.addClients(ctx, cfg.Clients)
	began, answers := time.Now(), l.dhcpAnswers()
	// Not a deadline: dialers would report it shortly before the context ends.
	loadCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(cfg.Endure, cancel).Stop()
	var all sync.WaitGroup
	for _, load := range loads {
		all.Go(func() { load.run(loadCtx) })
	}
	seen := l.watch(loadCtx, cfg.Endure, out)
	all.Wait()
	e := Endurance{Seconds: time.Since(began).Seconds(), Grows: seen.slopes()}
	e.Loads = append(e.Loads, Load{Name: "DHCP answers", Done: l.dhcpAnswers() - answers})
	for _, load := range loads {
		r := Load{Name: load.name, Done: load.done.Load(), Failed: load.failed.Load()}
		if load.first != nil {
			r.Error = load.first.Error()
		}
		e.Loads = append(e.Loads, r)
	}
	return e, nil
}

// shortLeases has clients renew often.
func (l *lab) shortLeases(ctx context.Context) error {
	_, err := l.region.Inventory().Snippets.Create(ctx, inventory.Snippet{
		Name: "endurance", Value: fmt.Sprintf("default-lease-time %d;", int(leaseTime.Seconds())), Enabled: true,
	})
	return err
}

// addClients switches on hosts that have an address and nothing else. A hundred begin in a second.
func (l *lab) addClients(ctx context.Context, count int) {
	known := len(l.machines)
	for i := range count {
		v := l.vlans[i%len(l.vlans)]
		m := v.segment.NewMachine(boottest.MachineConfig{MAC: mac(known + i), Firmware: boottest.Flash, Impatient: true})
		l.machines = append(l.machines, m)
		m.PowerOn()
		if i%100 == 99 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}
}

// dhcpAnswers returns the number of answers that all racks have sent.
func (l *lab) dhcpAnswers() (n int64) {
	for _, r := range l.racks {
		n += r.dhcp.answers.Load()
	}
	return n
}

// rebooter boots one machine after the other again.
func (l *lab) rebooter(machines []*machine) func(context.Context) error {
	next := 0
	return func(ctx context.Context) error {
		m := machines[next%len(machines)]
		next++
		if err := l.client.Post(ctx, client.MachinePath(m.name)+"?op=power_off", url.Values{"stop_mode": {"hard"}}, nil); err != nil {
			return fmt.Errorf("%s: power off: %w", m.name, err)
		}
		for m.sim.Powered() && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if err := l.boot(ctx, m, newShow(io.Discard, 1)).err; err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		return nil
	}
}

// someName asks for the address of a machine.
func someName(ctx context.Context, machines []*machine) error {
	m := machines[rand.IntN(len(machines))]
	_, err := ask(ctx, m.dns, m.name+".maas.", dns.TypeA)
	return err
}

// change writes a description of a machine.
func (l *lab) change(ctx context.Context, machines []*machine) error {
	m := machines[rand.IntN(len(machines))]
	form := url.Values{"description": {fmt.Sprint("changed ", rand.Uint32())}}
	return l.client.Send(ctx, http.MethodPut, client.MachinePath(m.name), form, nil)
}

// mirror starts an origin on loopback, which the racks' proxies have as their parent, and returns
// a request through the first rack's proxy: for one of a thousand objects, of which a few change.
func (l *lab) mirror(ctx context.Context) (stop func(), request func(context.Context) error, err error) {
	object := strings.Repeat("object ", 64<<10/7)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = io.WriteString(w, object) // a client that went away is no failure of the origin
	}))
	settings := l.region.Inventory().Settings
	for name, value := range map[string]string{setting.HTTPProxy: origin.URL, setting.UsePeerProxy: "true"} {
		if err := settings.Set(ctx, name, value); err != nil {
			origin.Close()
			return nil, nil, err
		}
	}
	v := l.vlans[0]
	node := v.segment.Server(v.rack.Next())
	transport := &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: netip.AddrPortFrom(v.rack, 8000).String()}),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return node.DialContext(ctx, network, address)
		},
	}
	request = func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://archive.example/%d", rand.IntN(1000)), nil)
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && (resp.StatusCode != http.StatusOK || n != int64(len(object))) {
			err = fmt.Errorf("proxy: status %d and %d bytes", resp.StatusCode, n)
		}
		return err
	}
	stop = func() { transport.CloseIdleConnections(); origin.Close() }
	if err := soon(ctx, request); err != nil {
		stop()
		return nil, nil, fmt.Errorf("the racks' proxies did not take their parent: %w", err)
	}
	return stop, request, nil
}

// soon repeats a request until it succeeds, for half a minute at most: a change takes a moment to
// reach the racks.
func soon(ctx context.Context, request func(context.Context) error) (err error) {
	for range 300 {
		if err = request(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return err
}

// series are the looks at quantities.
type series struct {
	names []string
	at    []time.Duration
	seen  [][]float64 // by look
}

// watch looks at memory, goroutines and files until ctx ends.
func (l *lab) watch(ctx context.Context, long time.Duration, out io.Writer) *series {
	s := &series{names: []string{"memory in use, MB", "goroutines", "region's database, MB", "racks' files, MB"}}
	began := time.Now()
	tick := time.NewTicker(max(long/looks, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return s
		case <-tick.C:
		}
		runtime.GC() // what is in use, not what was
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		look := []float64{float64(m.HeapAlloc) / 1e6, float64(runtime.NumGoroutine()), filesSize(l.dir, l.racks, false), filesSize(l.dir, l.racks, true)}
		s.at, s.seen = append(s.at, time.Since(began)), append(s.seen, look)
		fmt.Fprintf(out, "%7.0fs  %.0f MB in use, %.0f goroutines, database %.1f MB, racks %.1f MB\n", time.Since(began).Seconds(), look[0], look[1], look[2], look[3])
	}
}

// filesSize returns the size of the files of the racks, or of all else but boot files, in MB.
func filesSize(dir string, racks []*station, ofRacks bool) float64 {
	var size int64
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { // files appear and vanish meanwhile
		if err != nil || d.IsDir() {
			return nil
		}
		top, _, _ := strings.Cut(strings.TrimPrefix(path, dir+string(filepath.Separator)), string(filepath.Separator))
		info, err := d.Info()
		if err == nil && strings.HasPrefix(top, "rack-") == ofRacks && top != "images" && top != "loaders" && top != "log" {
			size += info.Size()
		}
		return nil
	})
	return float64(size) / 1e6
}

// slopes fits a line to the second half of the looks at each quantity, by least squares.
func (s *series) slopes() (out []Slope) {
	if len(s.seen) == 0 {
		return nil
	}
	half := len(s.seen) / 2
	for q, name := range s.names {
		var n, sx, sy, sxx, sxy float64
		for i := half; i < len(s.seen); i++ {
			x, y := s.at[i].Hours(), s.seen[i][q]
			n, sx, sy, sxx, sxy = n+1, sx+x, sy+y, sxx+x*x, sxy+x*y
		}
		slope := Slope{Name: name, First: s.seen[0][q], Last: s.seen[len(s.seen)-1][q]}
		if d := n*sxx - sx*sx; d > 0 {
			slope.PerHour = (n*sxy - sx*sy) / d
		}
		out = append(out, slope)
	}
	return out
}

// failed returns the number of pieces of work that failed.
func (e Endurance) failed() (n int64) {
	for _, l := range e.Loads {
		n += l.Failed
	}
	return n
}

// write prints what was done and what grew.
func (e Endurance) write(w io.Writer) {
	fmt.Fprintf(w, "\nA mixed load for %.0f s:\n\n", e.Seconds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WORK\tDONE\tA SECOND\tFAILED\tFIRST FAILURE")
	for _, l := range e.Loads {
		fmt.Fprintf(tw, "%s\t%d\t%.1f\t%d\t%s\n", l.Name, l.Done, float64(l.Done)/e.Seconds, l.Failed, l.Error)
	}
	fmt.Fprintln(tw, "\nWHAT MAY GROW\tFIRST\tLAST\tAN HOUR")
	for _, s := range e.Grows {
		fmt.Fprintf(tw, "%s\t%.1f\t%.1f\t%+.1f\n", s.Name, s.First, s.Last, s.PerHour)
	}
	_ = tw.Flush()
}
