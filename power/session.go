package power

import (
	"context"
	"log/slog"
	"time"
)

// session is a driver that can be opened anew: BMCs end sessions when they like.
type session struct {
	kind   Kind
	params Params
	log    *slog.Logger
	driver Driver // nil = not open
}

func (s *session) open(ctx context.Context) error {
	d, err := s.kind.Open(ctx, s.params)
	if err != nil {
		return err
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

// A session is closed even when its time is over: one that stays open uses up one of the BMC's few. Not much is hoped for
// after a failure.
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
		s.log.Debug("session not closed", "err", err)
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
		if ClassOf(err) == Auth { // it let us in before: the session is what it refuses
			err = Errorf(Connection, "read the power state", "the BMC ended the session: %w", err)
		}
		return Unknown, err
	}
	return state, nil
}
