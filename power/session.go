package power

import (
	"context"
	"log/slog"
	"maps"
	"time"
)

// session is a driver that can be opened again: BMCs end sessions when they like.
type session struct {
	kind   Kind
	params Params
	log    *slog.Logger
	driver Driver // nil = not open
	// inherited says that the driver was opened by an earlier request, and not used by this one
	// yet.
	inherited bool

	slots chan struct{} // one for each BMC that may be talked to at a time
	slot  bool          // one of them is ours
}

func (s *session) takeSlot(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		s.slot = true
		return nil
	case <-ctx.Done():
		return waited(ctx)
	}
}

func (s *session) leaveSlot() {
	if s.slot {
		<-s.slots
		s.slot = false
	}
}

// pause waits between two questions, and lets others talk meanwhile.
func (s *session) pause(ctx context.Context, d time.Duration) error {
	s.leaveSlot()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return s.takeSlot(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *session) open(ctx context.Context) error {
	d, err := s.kind.Open(ctx, s.params)
	if err != nil {
		return err
	}
	if d == nil {
		return Errorf(Settings, "open", "power type %s opened no driver and gave no reason", s.kind.Name)
	}
	s.driver = d
	return nil
}

// reopen opens the session if it was closed after a failure.
func (s *session) reopen(ctx context.Context) error {
	if s.driver != nil {
		return nil
	}
	return s.open(ctx)
}

// A session is closed even when its time is over: one that stays open uses up one of the BMC's few.
// Not much is hoped for after a failure.
const (
	closeTimeout       = 5 * time.Second
	closeFailedTimeout = time.Second
)

func (s *session) close(ctx context.Context, timeout time.Duration) {
	closer, ok := s.driver.(Closer)
	s.driver = nil
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := closer.Close(ctx); err != nil {
		level := slog.LevelWarn
		if timeout == closeFailedTimeout {
			level = slog.LevelDebug // the failure before it is reported, and explains this one
		}
		s.log.Log(ctx, level, "session not closed", "err", err)
	}
}

// state asks for the power state. After a failure the next call does so in a new session.
func (s *session) state(ctx context.Context) (State, error) {
	if err := s.reopen(ctx); err != nil {
		return Unknown, err
	}
	state, err := s.driver.PowerState(ctx)
	if err != nil {
		s.close(ctx, closeFailedTimeout)
		if ClassOf(err) == Auth { // the BMC took the password before, so it is the session that it refuses
			err = Errorf(Connection, "read the power state", "the BMC ended the session: %w", err)
		}
		return Unknown, err
	}
	return state, nil
}

// serves reports whether the session is one that the other would open.
func (s *session) serves(other *session) bool {
	return s.kind.Name == other.kind.Name && maps.Equal(s.params, other.params)
}

// look asks for the power state at the beginning of a request. A session that was inherited may
// have ended meanwhile.
func (s *session) look(ctx context.Context) (State, error) {
	if s.inherited {
		s.inherited = false
		if state, err := s.state(ctx); err == nil {
			return state, nil
		}
		if err := s.reopen(ctx); err != nil {
			return Unknown, err
		}
	}
	state, err := s.driver.PowerState(ctx)
	if err != nil {
		return Unknown, err
	}
	return state, nil
}
