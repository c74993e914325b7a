package maasapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Bounds of /api/v1/stream. Each client costs a goroutine and regular queries.
const (
	maxStreams = 64 // clients at a time
	// a comment is sent after this time without events, so that proxies keep the connection open
	streamBeat  = 15 * time.Second
	streamSlow  = 10 * time.Second // a client whose write takes longer is dropped
	streamPage  = 256              // events read at a time
	streamEvery = time.Second      // interval between reads of the log and of boots, which have no feed of their own
)

// streamChangeJSON is the data of a change event.
type streamChangeJSON struct {
	Kind string    `json:"kind"`
	ID   int64     `json:"id"`
	Op   store.Op  `json:"op"`
	Time time.Time `json:"time"`
}

// StreamBoot is the data of a boot event: the whole boot, which has progressed.
type StreamBoot struct {
	Node     string `json:"node"` // system ID; empty if no machine has the address
	Hostname string `json:"hostname"`
	Boot
}

// streamPlace is a client's position in the changes, the log, the boots and the audit log. It is
// sent as the ID of each event, in the form "CHANGES-LOG-BOOTS-AUDIT".
type streamPlace struct{ rev, log, boot, audit int64 } // -1 = the end

func (p streamPlace) String() string {
	return fmt.Sprintf("%d-%d-%d-%d", p.rev, p.log, p.boot, p.audit)
}

// parsePlace parses the ID of an event.
func parsePlace(text string) (p streamPlace, err error) {
	parts := strings.Split(text, "-")
	to := []*int64{&p.rev, &p.log, &p.boot, &p.audit}
	// clients may still hold an ID of two or three numbers, of an older release
	ok := len(parts) >= 2 && len(parts) <= len(to)
	if p.boot, p.audit = -1, -1; ok {
		to = to[:len(parts)]
	}
	for i := 0; ok && i < len(to); i++ {
		*to[i], err = strconv.ParseInt(parts[i], 10, 64)
		ok = err == nil && *to[i] >= 0
	}
	if !ok {
		return p, form.Invalid("Last-Event-ID", fmt.Sprintf("%q is not the id of an event of this stream", text))
	}
	return p, nil
}

// stream sends server-sent events until the client disconnects: "change" for each changed object,
// "event" for each entry of the log and of the audit log, "boot" for each boot that progressed, at
// most once a second. It begins at the end or, with the header Last-Event-ID, after that event.
// "lost" reports that earlier changes are no longer kept, so that the client has to read everything
// again.
func (a *API) stream(w http.ResponseWriter, r *http.Request) {
	select {
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("%d clients follow already; try again later", maxStreams), http.StatusServiceUnavailable)
		return
	}
	at, err := a.streamStart(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	s := &sender{w: w, out: http.NewResponseController(w), at: at}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if err := a.follow(r, s); err != nil && r.Context().Err() == nil {
		a.log.Info("stream ended", "client", r.RemoteAddr, "err", err)
	}
}

// streamStart returns the position at which the client wants to begin.
func (a *API) streamStart(r *http.Request) (at streamPlace, err error) {
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		if at, err = parsePlace(text); err != nil || at.audit >= 0 {
			return at, err
		}
		now, err := a.streamNow(r)
		if at.audit = now.audit; at.boot < 0 {
			at.boot = now.boot
		}
		return at, err
	}
	return a.streamNow(r)
}

// streamNow returns the position after all that exists. The numbers are read in one transaction, so
// that nothing falls between them.
func (a *API) streamNow(r *http.Request) (at streamPlace, err error) {
	err = a.feed.Consistently(r.Context(), func(ctx context.Context) error {
		if at.rev, err = a.feed.Revision(ctx); err != nil {
			return err
		}
		if at.boot, err = a.boots.LastStep(ctx); err != nil {
			return err
		}
		if at.log, err = lastOf(ctx, a.events); err == nil {
			at.audit, err = lastOf(ctx, a.audit)
		}
		return err
	})
	return at, err
}

// lastOf returns the ID of the last entry of a log; 0 = it is empty.
func lastOf(ctx context.Context, log eventLog) (int64, error) {
	last, err := log.Last(ctx, 0, 1)
	if len(last) == 0 {
		return 0, err
	}
	return last[0].ID, err
}

// sender writes to one client. It fails if the client is too slow, since a blocked write would hold
// the client's place in a.streams.
type sender struct {
	w   http.ResponseWriter
	out *http.ResponseController
	at  streamPlace
}

// write sends text at once. The deadline is set for each write, because the stream as a whole has
// none.
func (s *sender) write(text string) error {
	if err := s.out.SetWriteDeadline(time.Now().Add(streamSlow)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("the client is slow or gone: %w", err)
	}
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("the client is slow or gone: %w", err)
	}
	return nil
}

// send sends an event. Its ID is the position after it, from which the client resumes.
func (s *sender) send(name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", s.at, name, text))
}

// follow sends new events. It holds at most a page of them, however many there are.
func (a *API) follow(r *http.Request, s *sender) error {
	ctx, cancel := context.WithCancel(r.Context())
	changes := make(chan change)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.watchChanges(ctx, s.at.rev, changes)
	}()
	defer func() { cancel(); <-done }()
	if err := s.write(": from " + s.at.String() + "\n\n"); err != nil {
		return err
	}
	look, beat := time.NewTicker(streamEvery), time.NewTicker(streamBeat)
	defer look.Stop()
	defer beat.Stop()
	names := map[int64]inventory.Machine{}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case c := <-changes:
			s.at.rev = c.rev
			if c.name == "lost" { // after a restore the log and the boots may count from lower numbers
				if s.at, err = a.streamNow(r); err != nil {
					return err
				}
			}
			err = s.send(c.name, c.what)
		case <-look.C:
			clear(names)
			// What users did comes before what followed from it.
			if err = a.sendLog(r, s, a.audit, &s.at.audit, names); err == nil {
				err = a.sendLog(r, s, a.events, &s.at.log, names)
			}
			if err == nil {
				err = a.sendBoots(r, s)
			}
		case <-beat.C:
			err = s.write(": nothing new\n\n")
		}
		if err != nil {
			return err
		}
	}
}

// change is a change of the feed, or the report that changes are lost.
type change struct {
	rev  int64
	name string
	what any
}

// watchChanges sends the changes after a revision until ctx ends. When the feed no longer has them,
// it reports the loss and goes on from now.
func (a *API) watchChanges(ctx context.Context, from int64, out chan<- change) {
	for {
		lost := false
		for c, err := range a.feed.Watch(ctx, from) {
			next := change{c.Rev, "change", streamChangeJSON{c.Kind, c.ID, c.Op, c.Time}}
			if errors.Is(err, store.ErrCompacted) {
				if from, err = a.feed.Revision(ctx); err != nil {
					return
				}
				lost, next = true, change{from, "lost", map[string]string{"why": "changes that old are no longer kept; read all anew"}}
			} else if err != nil {
				continue // Watch retries by itself
			}
			select {
			case out <- next:
			case <-ctx.Done():
				return
			}
		}
		if !lost {
			return
		}
	}
}

// sendLog sends the entries of a log after a position, which it moves.
func (a *API) sendLog(r *http.Request, s *sender, log eventLog, at *int64, names map[int64]inventory.Machine) error {
	for {
		page, err := log.After(r.Context(), 0, *at, streamPage)
		if err != nil {
			return err
		}
		for _, e := range page {
			*at = e.ID
			if err := s.send("event", a.eventOf(r, e, names)); err != nil {
				return err
			}
		}
		if len(page) < streamPage {
			return nil
		}
	}
}

// sendBoots sends the boots that have progressed.
func (a *API) sendBoots(r *http.Request, s *sender) error {
	for {
		page, next, err := a.boots.Since(r.Context(), s.at.boot, streamPage)
		if err != nil || len(page) == 0 {
			return err
		}
		s.at.boot = next
		for _, attempt := range page {
			what := StreamBoot{Boot: bootOf(attempt)}
			if m, err := a.nodes.MachineByMAC(r.Context(), attempt.MAC); err == nil { // otherwise it is unknown, or the address of a device
				what.Node, what.Hostname = m.SystemID, m.Hostname
			}
			if err := s.send("boot", what); err != nil {
				return err
			}
		}
	}
}
