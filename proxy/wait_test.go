package proxy_test

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"
)

// eventually polls until ok, since a cache notifies no one of what it does in the background. It gives up only where the test
// would hang.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick, limit := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never: %s", what)
		}
	}
}

// announced returns a GET request that calls sent when it has been written.
func announced(ctx context.Context, t testing.TB, url string, sent func()) *http.Request {
	t.Helper()
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent() }}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
