package tracing

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// outcome is what became of one attempt to send a batch.
type outcome struct {
	trouble string // what kind it is; empty: none
	err     error
	passes  bool          // another attempt may do better
	after   time.Duration // which must not come sooner
}

// firstPause is about how long it takes to the second attempt. Each further one takes twice as long.
const firstPause = time.Second

// insist sends a batch until the collector has taken or refused it. It gives up where the next attempt would come too late for
// ctx, whose deadline is what bounds it.
func (e *exporter) insist(ctx context.Context, body []byte) outcome {
	for pause := firstPause; ; pause *= 2 {
		came := e.send(ctx, body)
		wait := max(came.after, pause/2+rand.N(pause)) // so that many senders do not come at once
		if end, bounded := ctx.Deadline(); !came.passes || bounded && time.Until(end) <= wait {
			return came
		}
		select {
		case <-time.After(wait):
		case <-e.hurried.Done():
			return came
		case <-ctx.Done():
			return came
		}
	}
}

// passing tells of an HTTP status whether the same may be sent again: those of OTLP/HTTP.
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads the header of that name, in seconds or as a date (RFC 9110, section 10.2.3); 0 = it says nothing. Numbers
// without end are decades, which no batch lasts.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) { // of which seconds is the largest then
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
