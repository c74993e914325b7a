package bmcserve

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gomaas/maas/power"
)

// machine holds the state of a machine and the actions on it.
type machine struct {
	name string

	mu           sync.Mutex // guards the fields below
	state        power.State
	read         time.Time        // when the state was
	asking       *question        // under way; nil = none
	action       power.Action     // under way; "" = none
	boot, always power.BootDevice // that wait for the next boot, and for all
	given        power.BootDevice // for all boots, as the power control has it
}

// question is a request for the state, which all that ask meanwhile share.
type question struct {
	done  chan struct{}
	state power.State
	err   error
}

var errBusy = errors.New("the machine is being switched; try again")

// askTimeout bounds one request for the state.
const askTimeout = 30 * time.Second

// stateOf returns the state of a machine, and the action that is under way.
func (s *Server) stateOf(ctx context.Context, m *machine) (power.State, power.Action, error) {
	m.mu.Lock()
	if m.action != "" || m.asking == nil && time.Since(m.read) < s.cfg.Fresh {
		defer m.mu.Unlock()
		return m.state, m.action, nil
	}
	q := m.asking
	if q == nil {
		q = &question{done: make(chan struct{})}
		m.asking = q
		s.running.Go(func() { s.ask(m, q) })
	}
	m.mu.Unlock()
	select {
	case <-q.done:
		return q.state, "", q.err
	case <-ctx.Done():
		return power.Unknown, "", ctx.Err()
	}
}

// ask reads the state for all that wait. It does not end with the first of them.
func (s *Server) ask(m *machine, q *question) {
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	result, err := s.cfg.Power.Do(ctx, m.name, power.ActionQuery, power.Options{})
	m.mu.Lock()
	defer m.mu.Unlock()
	q.state, q.err, m.asking = result.State, err, nil
	if err == nil && m.action == "" {
		m.state, m.read = result.State, time.Now()
	}
	close(q.done)
}

// switchTo begins an action and returns after the patience at the latest: nil then means that it is
// accepted. An action that is under way already is not begun again.
//
// image is for ActionInsert.
func (s *Server) switchTo(c client, m *machine, action power.Action, image string, patience time.Duration) error {
	m.mu.Lock()
	if m.action != "" {
		defer m.mu.Unlock()
		if m.action == action && image == "" {
			return nil
		}
		return power.Errorf(power.Connection, string(action), "%w", errBusy)
	}
	m.action = action
	opts := power.Options{BootIfPossible: true, Soft: s.cfg.Soft, Media: image}
	if opts.Boot, opts.BootAlways = m.next(); opts.Boot != "" {
		// A reset has no boot device, so a machine that is to boot from one is cycled.
		if action == power.ActionReset {
			action = power.ActionCycle
		}
	}
	m.mu.Unlock()
	done := make(chan error, 1)
	s.running.Go(func() { done <- s.act(c, m, action, opts) })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return nil
	}
}

// next returns the device of the next boot, or of all that follow; "" = none was chosen. A choice
// for all boots that was taken back is taken back from the power control, too. m.mu is held.
func (m *machine) next() (device power.BootDevice, always bool) {
	switch {
	case m.boot != power.Default:
		return m.boot, false
	case m.always != power.Default || m.given != power.Default:
		return m.always, true
	}
	return "", false
}

// act does an action to its end.
func (s *Server) act(c client, m *machine, action power.Action, opts power.Options) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Timeout)
	defer cancel()
	result, err := s.cfg.Power.Do(ctx, m.name, action, opts)
	if action == power.ActionReset && power.ClassOf(err) == power.Unsupported { // to a client, a cycle is one
		result, err = s.cfg.Power.Do(ctx, m.name, power.ActionCycle, opts)
	}
	boots := action == power.ActionOn || action == power.ActionCycle || action == power.ActionReset
	what := string(action)
	if action == power.ActionInsert {
		what += " " + withoutQuery(opts.Media)
	}
	always := acted(result, "boot always from "+string(opts.Boot))
	if opts.Boot != "" && boots {
		what += ", boot " + string(opts.Boot)
		if err == nil && !always && !acted(result, "boot once from "+string(opts.Boot)) && len(result.Steps) > 0 {
			what += " not chosen: this power control cannot"
		}
	}
	// Before the state shows: a client that has seen it finds the entry.
	s.audit(Entry{Protocol: c.protocol, Account: c.account.User, Source: c.source, Machine: m.name, Action: what, Err: err})
	m.mu.Lock()
	m.action = ""
	m.read = time.Time{}
	if err == nil && result.State != power.Unknown {
		m.state, m.read = result.State, time.Now()
	}
	if err == nil && boots {
		m.boot = power.Default
	}
	if always {
		m.given = opts.Boot
	}
	m.mu.Unlock()
	return err
}

// acted reports whether a step succeeded.
func acted(result power.Result, op string) bool {
	for _, step := range result.Steps {
		if step.Op == op && step.Err == "" {
			return true
		}
	}
	return false
}

// setBoot keeps a boot device for the next boot, or for all; Default clears both.
func (s *Server) setBoot(c client, m *machine, device power.BootDevice, always bool) {
	what := "boot " + string(device)
	m.mu.Lock()
	switch {
	case device == power.Default:
		m.boot, m.always = power.Default, power.Default
	case always:
		m.boot, m.always = power.Default, device
		what += " always"
	default:
		m.boot = device
	}
	m.mu.Unlock()
	s.audit(Entry{Protocol: c.protocol, Account: c.account.User, Source: c.source, Machine: m.name, Action: what})
}

// bootOf returns the device that waits for the next boot, and whether for all.
func (m *machine) bootOf() (device power.BootDevice, always bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boot != power.Default {
		return m.boot, false
	}
	return m.always, m.always != power.Default
}
