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

// Bounds of /api/v1/stream.
const (
	maxStreams  = 64               // clients at a time
	streamBeat  = 15 * time.Second // a comment is sent when nothing else was
	streamSlow  = 10 * time.Second // a client that takes longer for one write is dropped
	streamPage  = 256              // events read at once
	streamEvery = time.Second      // how often the log is looked at
)

// streamChangeJSON is what the stream tells of a change.
type streamChangeJSON struct {
	Kind string    `json:"kind"`
	ID   int64     `json:"id"`
	Op   store.Op  `json:"op"`
	Time time.Time `json:"time"`
}

// StreamBoot is what the stream tells of a boot that came a step further: all of it.
type StreamBoot struct {
	Node     string `json:"node"` // system ID; "" if no machine is known by the address
	Hostname string `json:"hostname"`
	Boot
}

// streamPlace is where a client is: what it has of the changes, of the log and of the boots. It is the ID of each event,
// "CHANGES-LOG-BOOTS".
type streamPlace struct{ rev, log, boot int64 } // boot -1 is now

func (p streamPlace) String() string { return fmt.Sprintf("%d-%d-%d", p.rev, p.log, p.boot) }

func parsePlace(text string) (p streamPlace, err error) {
	parts := strings.Split(text, "-")
	to := []*int64{&p.rev, &p.log, &p.boot}
	ok := len(parts) == len(to) || len(parts) == len(to)-1 // the form from before boots were events
	if p.boot = -1; ok {
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

// stream sends server-sent events until the client goes: "change" for each changed object, "event" for each entry of the log,
// "boot" for each boot that came further, several steps at once when they are quick. It begins now or, with the header
// Last-Event-ID, after that event; "lost" says that what was between is no longer kept, and that the client has to read anew.
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
		a.log.Info("stream ended", "client", r.RemoteAddr, "why", err)
	}
}

// streamStart is where the client wants to begin.
func (a *API) streamStart(r *http.Request) (at streamPlace, err error) {
	if text := r.Header.Get("Last-Event-ID"); text != "" {
		if at, err = parsePlace(text); err == nil && at.boot < 0 {
			at.boot, err = a.inv.LastBootStep(r.Context())
		}
		return at, err
	}
	return a.streamNow(r)
}

// streamNow is behind all that there is.
func (a *API) streamNow(r *http.Request) (at streamPlace, err error) {
	err = a.inv.Consistently(r.Context(), func(ctx context.Context) error {
		if at.rev, err = a.inv.Revision(ctx); err != nil {
			return err
		}
		if at.boot, err = a.inv.LastBootStep(ctx); err != nil {
			return err
		}
		last, err := a.inv.LastEvents(ctx, 0, 1)
		if len(last) > 0 {
			at.log = last[0].ID
		}
		return err
	})
	return at, err
}

// sender writes to one client, and fails when it is too slow.
type sender struct {
	w   http.ResponseWriter
	out *http.ResponseController
	at  streamPlace
}

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

func (s *sender) send(name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", s.at, name, text))
}

// follow sends what is new, without holding more than a page of it.
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
			if c.name == "lost" { // after a restore the others may count from less, too
				if s.at, err = a.streamNow(r); err != nil {
					return err
				}
			}
			err = s.send(c.name, c.what)
		case <-look.C:
			if err = a.sendLog(r, s, names); err == nil {
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

// change is one of the change feed, or that some of it is lost.
type change struct {
	rev  int64
	name string
	what any
}

func (a *API) watchChanges(ctx context.Context, from int64, out chan<- change) {
	for {
		lost := false
		for c, err := range a.inv.Watch(ctx, from) {
			next := change{c.Rev, "change", streamChangeJSON{c.Kind, c.ID, c.Op, c.Time}}
			if errors.Is(err, store.ErrCompacted) {
				if from, err = a.inv.Revision(ctx); err != nil {
					return
				}
				lost, next = true, change{from, "lost", map[string]string{"why": "changes that old are no longer kept; read all anew"}}
			} else if err != nil {
				continue // Watch looks again
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

// sendLog sends the entries of the log that are new.
func (a *API) sendLog(r *http.Request, s *sender, names map[int64]inventory.Machine) error {
	clear(names)
	for {
		page, err := a.inv.Events(r.Context(), 0, s.at.log, streamPage)
		if err != nil {
			return err
		}
		for _, e := range page {
			s.at.log = e.ID
			if err := s.send("event", a.eventOf(r, e, names)); err != nil {
				return err
			}
		}
		if len(page) < streamPage {
			return nil
		}
	}
}

// sendBoots sends the boots that came further.
func (a *API) sendBoots(r *http.Request, s *sender) error {
	for {
		page, next, err := a.inv.BootsSince(r.Context(), s.at.boot, streamPage)
		if err != nil || len(page) == 0 {
			return err
		}
		s.at.boot = next
		for _, attempt := range page {
			what := StreamBoot{Boot: Boot{attempt, attempt.Diagnosis(time.Now())}}
			if m, err := a.inv.MachineByMAC(r.Context(), attempt.MAC); err == nil { // nobody knows it, or it is a device's
				what.Node, what.Hostname = m.SystemID, m.Hostname
			}
			if err := s.send("boot", what); err != nil {
				return err
			}
		}
	}
}
