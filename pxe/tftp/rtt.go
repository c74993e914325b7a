package tftp

import "time"

const (
	minRTO     = 40 * time.Millisecond  // below it, scheduling of client and server looks like loss
	initialRTO = 300 * time.Millisecond // before the first measurement
	maxRTO     = 5 * time.Second
	minProbe   = 10 * time.Millisecond // a question costs one packet, so it may be asked too early
)

// rtt estimates the round trip and the retransmission timeout as RFC 6298 does, with bounds that
// suit a LAN. Its zero value is ready to use.
type rtt struct {
	smooth, dev, least time.Duration
	backoff            uint
	limit              time.Duration // ceiling of the timeout; 0 means maxRTO
}

// sample takes the time between a window and its acknowledgement. Windows that were sent twice are
// not measured (Karn's rule).
func (r *rtt) sample(d time.Duration) {
	d = max(d, time.Microsecond)
	if r.smooth == 0 {
		r.smooth, r.dev, r.least = d, d/2, d
	} else {
		r.dev += ((r.smooth - d).Abs() - r.dev) / 4
		r.smooth += (d - r.smooth) / 8
		r.least = min(r.least, d)
	}
	r.backoff = 0
}

// progress ends the back-off without a measurement.
func (r *rtt) progress() { r.backoff = 0 }

// expired doubles the timeout.
func (r *rtt) expired() { r.backoff = min(r.backoff+1, 10) }

// timeout returns how long to wait for an acknowledgement.
func (r *rtt) timeout() time.Duration {
	d := initialRTO
	if r.smooth > 0 {
		d = max(r.smooth+4*r.dev, minRTO)
	}
	top := maxRTO
	if r.limit > 0 {
		top = r.limit
	}
	return min(d<<r.backoff, top)
}

// probe returns the time to wait before asking for the client's position.
func (r *rtt) probe() time.Duration {
	if r.smooth == 0 {
		return r.timeout()
	}
	return min(max(2*r.smooth+4*r.dev, minProbe), r.timeout())
}
