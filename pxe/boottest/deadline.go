package boottest

import (
	"os"
	"sync"
	"time"
)

// deadline is a time at which a channel is closed. The zero value is none.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer // that closes ch; nil = none was made for this ch
	armed bool        // timer will close ch, or has
	ch    chan struct{}
}

// set moves the deadline; the zero time removes it. Calls that wait already follow it.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.armed && !d.timer.Stop() {
		<-d.ch // it fires right now, or has fired
	}
	d.armed = false
	select {
	case <-d.ch:
		d.ch = nil
	default:
	}
	if d.ch == nil {
		d.ch, d.timer = make(chan struct{}), nil
	}
	if t.IsZero() {
		return
	}
	ch, wait := d.ch, time.Until(t)
	switch {
	case wait <= 0:
		close(ch)
		return
	case d.timer == nil:
		d.timer = time.AfterFunc(wait, func() { close(ch) })
	default:
		d.timer.Reset(wait)
	}
	d.armed = true
}

// wait returns the channel that is closed at the deadline.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ch == nil {
		d.ch = make(chan struct{})
	}
	return d.ch
}

// until waits for a time. It returns the error of whichever comes first: closed (net.ErrClosed or
// why) or the deadline.
func until(t time.Time, closed <-chan struct{}, why func() error, dl *deadline) error {
	wait := time.Until(t)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-closed:
		return why()
	case <-dl.wait():
		return os.ErrDeadlineExceeded
	}
}
