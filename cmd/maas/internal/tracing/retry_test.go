package tracing

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// collector answers attempts one after the other, the last answer again and again.
type collector struct {
	answers []func() (*http.Response, error)
	at      []time.Duration // of the attempts
	began   time.Time
	request *http.Request // the last one
	body    string
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	c.at = append(c.at, time.Since(c.began))
	c.request = r
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.body = string(text)
	return c.answers[min(len(c.at), len(c.answers))-1]()
}

func status(code int, retryAfter string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		header := http.Header{}
		if retryAfter != "" {
			header.Set("Retry-After", retryAfter)
		}
		return &http.Response{StatusCode: code, Status: http.StatusText(code), Header: header, Body: http.NoBody}, nil
	}
}

func lost() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func TestBatchesAreSentAgain(t *testing.T) {
	ok := status(200, "")
	for _, c := range []struct {
		name     string
		answers  []func() (*http.Response, error)
		attempts int
		sooner   time.Duration // than which the last one may not come
		lost     bool
	}{
		{name: "taken", answers: []func() (*http.Response, error){ok}, attempts: 1},
		{name: "busy for a while", answers: []func() (*http.Response, error){status(503, ""), status(429, ""), ok}, attempts: 3, sooner: 1500 * time.Millisecond},
		{name: "told when", answers: []func() (*http.Response, error){status(502, "7"), ok}, attempts: 2, sooner: 7 * time.Second},
		{name: "told a date", answers: []func() (*http.Response, error){status(504, "Sat, 01 Jan 2000 00:00:06 GMT"), ok}, attempts: 2, sooner: 6 * time.Second},
		{name: "too late", answers: []func() (*http.Response, error){status(503, "11"), ok}, attempts: 1, lost: true},
		{name: "far too late", answers: []func() (*http.Response, error){status(503, "99999999999999999999"), ok}, attempts: 1, lost: true},
		{name: "after decades", answers: []func() (*http.Response, error){status(429, "2147483648"), ok}, attempts: 1, lost: true},
		{name: "in another age", answers: []func() (*http.Response, error){status(429, "Fri, 31 Dec 9999 23:59:59 GMT"), ok}, attempts: 1, lost: true},
		{name: "told nonsense", answers: []func() (*http.Response, error){status(503, "-1"), ok}, attempts: 2},
		{name: "connection lost", answers: []func() (*http.Response, error){lost, ok}, attempts: 2},
		{name: "refused for good", answers: []func() (*http.Response, error){status(400, "1"), ok}, attempts: 1, lost: true},
		{name: "no gateway knows why", answers: []func() (*http.Response, error){status(500, ""), ok}, attempts: 1, lost: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				fake := &collector{answers: c.answers, began: time.Now()}
				e := newExporter(settings{url: "http://c.example/v1/traces", timeout: sendTime}, slog.New(slog.NewTextHandler(&log, nil)))
				defer e.stop()
				e.client.Transport = fake
				if err := e.ExportSpans(t.Context(), tracetest.SpanStubs{{Name: "one"}}.Snapshots()); err != nil {
					t.Fatal(err)
				}
				if len(fake.at) != c.attempts || fake.at[len(fake.at)-1] < min(c.sooner, sendTime) || (log.Len() > 0) != c.lost {
					t.Errorf("attempts at %v, want %d and the last not before %v; lost: %v, log %s", fake.at, c.attempts, c.sooner, c.lost, log.String())
				}
			})
		})
	}
}

// However long a collector is busy, a batch takes no longer than it may, and the end waits for no further attempt.
func TestAttemptsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := &collector{answers: []func() (*http.Response, error){status(503, "")}, began: time.Now()}
		e := newExporter(settings{url: "http://c.example/v1/traces", timeout: time.Minute}, slog.New(slog.DiscardHandler))
		e.client.Transport = fake
		spans := tracetest.SpanStubs{{Name: "one"}}.Snapshots()
		_ = e.ExportSpans(t.Context(), spans)
		if took := time.Since(fake.began); took > time.Minute || len(fake.at) < 5 || len(fake.at) > 8 {
			t.Errorf("%d attempts in %v", len(fake.at), took)
		}
		fake.at, fake.began = nil, time.Now()
		time.AfterFunc(100*time.Millisecond, e.hurry)
		_ = e.ExportSpans(t.Context(), spans)
		_ = e.ExportSpans(t.Context(), spans)
		if took := time.Since(fake.began); took != 100*time.Millisecond || len(fake.at) != 2 {
			t.Errorf("at the end: %d attempts in %v", len(fake.at), took)
		}
		e.stop()
	})
}

func TestBatchesAreCompressedWhereAsked(t *testing.T) {
	fake := &collector{answers: []func() (*http.Response, error){status(200, "")}}
	e := newExporter(settings{url: "http://c.example/v1/traces", timeout: sendTime, gzip: true}, slog.New(slog.DiscardHandler))
	defer e.stop()
	e.client.Transport = fake
	spans := tracetest.SpanStubs{{Name: "one"}}.Snapshots()
	_ = e.ExportSpans(t.Context(), spans)
	r, err := gzip.NewReader(strings.NewReader(fake.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil || string(text) != string(encode(spans)) || fake.request.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%q with %v, %v", text, fake.request.Header, err)
	}
}
