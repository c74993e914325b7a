package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxLive bounds the pages that follow the boots at a time.
	maxLive  = 300
	liveBeat = 15 * time.Second // a comment is sent after this silence, so that proxies keep the connection
	liveSlow = 10 * time.Second // a client whose write takes longer is dropped
	// liveAge is the interval at which boots that have not progressed are looked at: silence turns
	// a boot into a failed one.
	liveAge = time.Second
)

// life distinguishes this process in the marks of streams: after a restart counts begin again.
var life = rand.Text()[:8]

// mark returns the place in the changes that a page shows.
func (b *recent) mark(seq int64) string { return life + "-" + strconv.FormatInt(seq, 10) }

// placeOf reads a mark; false = it is of another process.
func placeOf(mark string) (int64, bool) {
	of, text, _ := strings.Cut(mark, "-")
	seq, err := strconv.ParseInt(text, 10, 64)
	return seq, err == nil && of == life
}

// bootStream sends server-sent events until the client disconnects: an event with the ID of a boot
// has its row, "new" has the row of a boot that began since the page was made, and "lost" says that
// rows may be missing.
func (c *Console) bootStream(w http.ResponseWriter, r *http.Request) error {
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		return &refusal{Status: http.StatusServiceUnavailable, Text: "Too many pages follow the boots. This one shows them as they were."}
	}
	from := r.Header.Get("Last-Event-ID")
	if from == "" {
		from = r.FormValue("from")
	}
	s := &liveBoots{console: c, filter: bootFilterOf(r), w: w, out: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if err := s.begin(r, from); err != nil {
		return nil // the status was sent, and the client connects again
	}
	s.run(r)
	return nil
}

// liveTable has the last boots as rendered rows, which all pages that follow the boots share: the
// boots are listed once for all of them, and a row is rendered once after each of its changes. It
// has no goroutine and no queues. A client has a place in the changes and is sent the rows that
// changed after it, so that one that is slow skips the states of a row that it had no time for.
type liveTable struct {
	mu    sync.Mutex // guards the field
	state *liveState
}

// liveState is the table at one moment. It does not change.
type liveState struct {
	seq    int64      // of the last change
	forgot int64      // the last change of a row that is left out, as there is a bound
	rows   []*liveRow // the oldest first, since each new row goes on top
}

// liveRow is a row of the table.
type liveRow struct {
	bootRow
	seq, born int64  // of its last and its first change
	data      string // the field of an event
}

// liveState returns the table as it is now.
func (c *Console) liveState(ctx context.Context) (*liveState, error) {
	t := &c.live
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.state
	if old == nil {
		old = &liveState{seq: -1}
	}
	all, seq, forgot, err := c.boots.since(ctx, old.seq)
	if err != nil || seq == old.seq {
		return old, err
	}
	have := make(map[string]*liveRow, len(old.rows))
	for _, row := range old.rows {
		have[row.ID] = row
	}
	made := &liveState{seq: seq, forgot: forgot}
	at := now()
	err = c.site.look(ctx, func(v view) error {
		for _, e := range slices.Backward(all) {
			row := have[e.id]
			if row == nil || row.seq != e.seq {
				row = &liveRow{bootRow: rowOf(v, e, at), seq: e.seq, born: e.born}
			}
			made.rows = append(made.rows, row)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, row := range made.rows {
		if row.data != "" {
			continue
		}
		b.Reset()
		if err := c.pages["boots"].ExecuteTemplate(&b, "liverow", row.bootRow); err != nil {
			return nil, err
		}
		row.data = dataField(string(straight(b.Bytes())))
	}
	t.state = made
	return made, nil
}

// dataField returns text as the field of an event.
func dataField(text string) string {
	return "\ndata: " + strings.ReplaceAll(strings.ReplaceAll(text, "\r", " "), "\n", "\ndata: ")
}

// liveBoots is one client of the stream.
type liveBoots struct {
	console *Console
	filter  bootFilter
	w       http.ResponseWriter
	out     *http.ResponseController
	seq     int64 // of the last change that was sent
}

// The texts of the event "lost".
const (
	lostLife = "The region started again. Load the page again to see all rows."
	lostRows = "More boots changed than this page has rows for. Load it again to see the last ones."
)

// begin finds the place from which the client follows.
func (s *liveBoots) begin(r *http.Request, from string) error {
	state, err := s.console.liveState(r.Context())
	if err != nil {
		return err
	}
	var text []byte
	at, known := placeOf(from)
	if s.seq = at; !known || at > state.seq {
		if s.seq = state.seq; from != "" {
			text = s.event(text, "lost", dataField(lostLife), true)
		}
	}
	return s.write(append(text, ": from "+s.console.boots.mark(s.seq)+"\n\n"...))
}

// run sends what changes.
func (s *liveBoots) run(r *http.Request) {
	look, beat := time.NewTicker(recentEvery), time.NewTicker(liveBeat)
	defer look.Stop()
	defer beat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-look.C:
			err = s.changed(r)
		case <-beat.C:
			err = s.write([]byte(": nothing new\n\n"))
		}
		if err != nil {
			if !errors.Is(err, r.Context().Err()) {
				s.console.log.Info("stream of boots ended", "client", r.RemoteAddr, "err", err)
			}
			return
		}
	}
}

// changed sends the rows that changed since the client was sent rows last.
func (s *liveBoots) changed(r *http.Request) error {
	state, err := s.console.liveState(r.Context())
	if err != nil || state.seq == s.seq {
		return err
	}
	var rows []*liveRow
	for _, row := range state.rows {
		if row.seq > s.seq && (row.born <= s.seq || s.filter.wants(row.bootRow)) {
			rows = append(rows, row)
		}
	}
	lost, before := s.seq < state.forgot, s.seq
	s.seq = state.seq
	// Only the last event has the place as its ID: a client whose connection fails between two
	// events follows from the place before all of them, and misses none.
	var text []byte
	if lost {
		text = s.event(text, "lost", dataField(lostRows), len(rows) == 0)
	}
	for i, row := range rows {
		name := "new"
		if row.born <= before {
			name = "b-" + row.ID
		}
		text = s.event(text, name, row.data, i == len(rows)-1)
	}
	if len(text) == 0 {
		return nil
	}
	return s.write(text)
}

// event appends an event. With last, it has the place of the client, from which it resumes.
func (s *liveBoots) event(to []byte, name, data string, last bool) []byte {
	if last {
		to = append(append(append(to, "id: "...), s.console.boots.mark(s.seq)...), '\n')
	}
	return append(append(append(append(to, "event: "...), name...), data...), "\n\n"...)
}

// write sends text at once. The deadline is set for each write, because the stream has none.
func (s *liveBoots) write(text []byte) error {
	if err := s.out.SetWriteDeadline(time.Now().Add(liveSlow)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.out.Flush()
}
