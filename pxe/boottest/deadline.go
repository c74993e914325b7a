package boottest

import (
	"os"
	"sync"
	"time"
)

// deadline is a time at which a channel is closed. The zero value is none.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	ch    chan struct{}
}

// set moves the deadline; the zero time removes it. Calls that wait already follow it.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.ch // it fires right now, or has fired
	}
	d.timer = nil
	select {
	case <-d.ch:
		d.ch = nil
	default:
	}
	if d.ch == nil {
		d.ch = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	ch := d.ch
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(ch) })
		return
	}
	close(ch)
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
