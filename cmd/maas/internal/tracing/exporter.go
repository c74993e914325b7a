package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter sends spans to a collector.
type exporter struct {
	to     settings
	client *http.Client
	log    *slog.Logger
	trouble

	hurried context.Context // ends when nothing is tried a second time any more
	hurry   context.CancelFunc
	stopped context.Context // ends when nothing is to be sent any more
	stop    context.CancelFunc
}

func newExporter(to settings, log *slog.Logger) *exporter {
	e := &exporter{to: to, log: log}
	e.stopped, e.stop = context.WithCancel(context.Background())
	e.hurried, e.hurry = context.WithCancel(e.stopped)
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1}
	e.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // headers with keys go nowhere else
	}}
	return e
}

// ExportSpans sends one batch. It tells no error: the SDK would write each into the standard error.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if e.stopped.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.to.timeout)
	defer cancel()
	defer context.AfterFunc(e.stopped, cancel)()
	body := encode(spans)
	if e.to.gzip {
		body = zipped(body)
	}
	came := e.insist(ctx, body)
	if e.stopped.Err() == nil {
		e.note(e.log, came.trouble, came.err)
	}
	return nil
}

func zipped(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(body)
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}

// errStatus is what a collector says that does not take spans.
var errStatus = errors.New("the collector answers")

// send makes one attempt.
func (e *exporter) send(ctx context.Context, body []byte) outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.to.url, bytes.NewReader(body))
	if err != nil {
		return outcome{trouble: "request", err: err}
	}
	for name, values := range e.to.headers {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if e.to.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	req.Header.Set("User-Agent", "gomaas")
	req.Header["Idempotency-Key"] = nil // net/http sends again what met a connection that the collector had closed
	resp, err := e.client.Do(req)
	if err != nil {
		return outcome{trouble: "connection", err: err, passes: true}
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	if resp.StatusCode/100 != 2 {
		return outcome{
			trouble: resp.Status, err: fmt.Errorf("%w %s", errStatus, resp.Status), passes: passing(resp.StatusCode),
			after: retryAfter(resp.Header.Get("Retry-After")),
		}
	}
	return outcome{}
}

// Shutdown ends what is under way. It is the SDK's last call.
func (e *exporter) Shutdown(context.Context) error {
	e.stop()
	e.client.CloseIdleConnections()
	return nil
}

// trouble is what was last wrong, so that it is told once. Batches go one after the other.
type trouble struct{ kind string }

func (t *trouble) note(log *slog.Logger, kind string, err error) {
	switch {
	case kind == t.kind:
		return
	case kind == "":
		log.Info("the collector takes traces again")
	default:
		log.Warn("traces are lost until the collector takes them", "err", err)
	}
	t.kind = kind
}
