package tracing

import (
	"context"
	"sync"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/gomaas/maas/store"
)

// maxCommits is the number of commits that wait to be published. After more, the oldest loses its
// link.
const maxCommits = 64

// Commits are transactions whose changes are not published yet. The zero value has none; its
// methods may be called concurrently.
type Commits struct {
	mu  sync.Mutex // guards the fields below
	all []commit   // by revision, as far as they were noted
}

type commit struct {
	revision int64
	by       oteltrace.SpanContext
}

// Note returns a context whose transactions are recorded in the span, and linked by
// StartPublishing.
func (c *Commits) Note(ctx context.Context, s Span) context.Context {
	if !s.Recording() {
		return ctx
	}
	return store.OnCommit(ctx, func(revision int64) {
		s.Counted("commit", map[string]int{"maas.store.revision": int(revision)})
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.all = append(c.all, commit{revision, s.span.SpanContext()}); len(c.all) > maxCommits {
			c.all = c.all[1:]
		}
	})
}

// upTo takes out what was committed up to a revision.
func (c *Commits) upTo(revision int64) (by []oteltrace.SpanContext) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var later []commit
	for _, one := range c.all {
		if one.revision <= revision {
			by = append(by, one.by)
		} else {
			later = append(later, one)
		}
	}
	c.all = later
	return by
}

// StartPublishing begins the span of a publication of what was committed up to a revision: in the
// trace of the first commit, with links to the others.
func (t *Tracer) StartPublishing(ctx context.Context, c *Commits, revision int64, at time.Time) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	by := c.upTo(revision)
	var links []oteltrace.Link
	for i, other := range by {
		if i == 0 {
			ctx = oteltrace.ContextWithSpanContext(ctx, other)
		} else if !other.Equal(by[i-1]) { // one request may commit several times
			links = append(links, oteltrace.Link{SpanContext: other})
		}
	}
	ctx, span := t.start(ctx, "publish", oteltrace.SpanKindProducer, at, links...)
	span.Int("maas.store.revision", revision)
	return ctx, span
}
