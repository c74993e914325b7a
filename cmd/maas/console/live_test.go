package console

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// fakeBoots has the boots of a test, each progress as one attempt.
type fakeBoots struct{ steps []pxe.Attempt }

func (f *fakeBoots) Of(context.Context, ...net.HardwareAddr) ([]pxe.Attempt, error) { return nil, nil }

func (f *fakeBoots) LastStep(context.Context) (int64, error) { return int64(len(f.steps)), nil }

func (f *fakeBoots) Since(_ context.Context, step int64, limit int) ([]pxe.Attempt, int64, error) {
	end := min(step+int64(limit), int64(len(f.steps)))
	return f.steps[step:end], end, nil
}

// step has a boot progress.
func (f *fakeBoots) step(mac byte, stage pxe.Stage, at time.Time) {
	var a pxe.Attempt
	hw := net.HardwareAddr{2, 0, 0, 0, 1, mac}
	for _, old := range f.steps {
		if old.MAC.String() == hw.String() {
			a = old
		}
	}
	f.steps = append(f.steps, a.Next(pxe.Event{Time: at, MAC: hw, Stage: stage, Method: "uefi-amd64-http"}))
}

// noSite is a site without objects.
type noSite struct{ looks int }

func (n *noSite) Follow(_ context.Context, m *inventory.Model) (*inventory.Changes, error) {
	n.looks++
	m.Revision = 1
	return nil, nil
}

// liveConsole returns a console that has boots only.
func liveConsole(t *testing.T) (*Console, *fakeBoots, *noSite) {
	t.Helper()
	boots, none := &fakeBoots{}, &noSite{}
	c := &Console{site: site{source: none}}
	c.boots.source = boots
	var err error
	if c.files, err = loadAssets(); err == nil {
		c.pages, err = c.loadPages()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, boots, none
}

// follower is a client of the stream whose time a test decides.
type follower struct {
	t *testing.T
	*liveBoots
	r   *http.Request
	got *httptest.ResponseRecorder
}

func (c *Console) follower(t *testing.T, query string) *follower {
	t.Helper()
	r, w := httptest.NewRequestWithContext(t.Context(), "GET", "/boots/live?"+query, nil), httptest.NewRecorder()
	f := &follower{t, &liveBoots{console: c, filter: bootFilterOf(r), w: w, out: http.NewResponseController(w)}, r, w}
	if err := f.begin(r, r.FormValue("from")); err != nil {
		t.Fatal(err)
	}
	return f
}

// look returns what the client is sent now, of boots that are read now.
func (f *follower) look() string {
	f.t.Helper()
	f.console.boots.looked = time.Time{}
	f.got.Body.Reset()
	if err := f.changed(f.r); err != nil {
		f.t.Fatal(err)
	}
	return f.got.Body.String()
}

// events returns the names of the events in a stream.
func events(stream string) string {
	var names []string
	for line := range strings.Lines(stream) {
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return strings.Join(names, " ")
}

// All clients share the rows: a look is one read of the site, and a row that did not change is not
// made again.
func TestClientsShareRenderedRows(t *testing.T) {
	c, boots, none := liveConsole(t)
	at := time.Now()
	boots.step(1, pxe.StageOffer, at)
	all := make([]*follower, 50)
	for i := range all {
		all[i] = c.follower(t, "")
	}
	first, err := c.liveState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	boots.step(2, pxe.StageOffer, at.Add(time.Second))
	none.looks = 0
	for _, f := range all {
		if got := events(f.look()); got != "new" {
			t.Fatalf("events %q", got)
		}
	}
	if none.looks != 1 {
		t.Errorf("%d reads of the site for one change", none.looks)
	}
	second, err := c.liveState(t.Context())
	if err != nil || len(second.rows) != 2 || second.rows[0] != first.rows[0] {
		t.Errorf("rows were made again: %v, %v", second, err)
	}
	if again, err := c.liveState(t.Context()); err != nil || again != second {
		t.Errorf("the table was made again without a change: %v", err)
	}
}

// A client that was slow is sent the last state of each row once, and one that was so slow that
// rows were forgotten is notified.
func TestSlowClientSkipsStates(t *testing.T) {
	c, boots, _ := liveConsole(t)
	at := time.Now()
	boots.step(1, pxe.StageOffer, at)
	slow, quick := c.follower(t, ""), c.follower(t, "")
	for i, stage := range []pxe.Stage{pxe.StageLoader, pxe.StageConfig, pxe.StageKernel} {
		boots.step(1, stage, at.Add(time.Duration(i+1)*time.Millisecond))
		if got := quick.look(); events(got) != "b-"+c.live.state.rows[0].ID {
			t.Errorf("quick: %q", got)
		}
	}
	if got := slow.look(); events(got) != "b-"+c.live.state.rows[0].ID || !strings.Contains(got, ">kernel<") || strings.Count(got, "id: ") != 1 {
		t.Errorf("slow: %q", got)
	}
	for i := range maxRecent + 1 {
		a := pxe.Attempt{}.Next(pxe.Event{Time: at.Add(time.Second), MAC: net.HardwareAddr{2, 0, 0, 1, byte(i >> 8), byte(i)}, Stage: pxe.StageOffer})
		boots.steps = append(boots.steps, a)
	}
	quick.look()
	for i := range maxRecent + 1 {
		a := pxe.Attempt{}.Next(pxe.Event{Time: at.Add(2 * time.Second), MAC: net.HardwareAddr{2, 0, 0, 2, byte(i >> 8), byte(i)}, Stage: pxe.StageOffer})
		boots.steps = append(boots.steps, a)
	}
	if got := slow.look(); !strings.HasPrefix(events(got), "lost new ") || !strings.Contains(got, lostRows) {
		t.Errorf("slow: %.300q", got)
	}
	if got := slow.look(); got != "" {
		t.Errorf("slow, without a change: %.300q", got)
	}
}

// Rows that a filter leaves out are not sent as new ones. A place of another process is answered by
// "lost".
func TestStreamFiltersAndResumes(t *testing.T) {
	c, boots, _ := liveConsole(t)
	at := time.Now()
	failed, here := c.follower(t, "state=failed"), c.follower(t, "")
	from := c.boots.mark(here.seq)
	boots.step(1, pxe.StageOffer, at)
	if got := failed.look(); got != "" {
		t.Errorf("filtered: %q", got)
	}
	if got := here.look(); events(got) != "new" {
		t.Errorf("new: %q", got)
	}
	if got := c.follower(t, "from="+from).look(); events(got) != "new" {
		t.Errorf("resumed: %q", got)
	}
	stranger := c.follower(t, "from=other-1")
	if got := stranger.got.Body.String(); events(got) != "lost" || !strings.Contains(got, lostLife) {
		t.Errorf("of another process: %q", got)
	}
}

// Silence turns an active boot into a failed one, once.
func TestSilenceIsAChange(t *testing.T) {
	c, boots, _ := liveConsole(t)
	boots.step(1, pxe.StageLoader, time.Now())
	f := c.follower(t, "")
	c.boots.mu.Lock()
	c.boots.age(time.Now().Add(24 * time.Hour))
	c.boots.mu.Unlock()
	if got := events(f.look()); got != fmt.Sprint("b-", c.live.state.rows[0].ID) {
		t.Errorf("events %q", got)
	}
	if got := f.look(); got != "" {
		t.Errorf("again: %q", got)
	}
}
