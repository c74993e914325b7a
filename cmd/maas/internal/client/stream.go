package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// StreamPath is the stream of changes and events.
const StreamPath = "/api/v1/stream"

// An Update is one event of the stream.
type Update struct {
	// Kind is "change", "event", "lost", or "open" when the stream has begun (again).
	Kind string
	Data json.RawMessage
}

// again is the pause before Follow connects again.
const again = time.Second

// Follow calls each for every update until ctx ends, or each fails; then it returns what each
// returned, nil for the end of ctx. A connection that breaks is made again and goes on where it
// was. The first one has to succeed.
func (c Client) Follow(ctx context.Context, each func(Update) error) error {
	last, first := "", true
	for {
		var stopped *stop
		err := c.followOnce(ctx, &last, func(u Update) error {
			first = false
			if err := each(u); err != nil {
				return &stop{err}
			}
			return nil
		})
		refused := (*Error)(nil)
		switch {
		case ctx.Err() != nil: // first: an error of each is often ctx's own
			return nil
		case errors.As(err, &stopped):
			return stopped.err
		case first, errors.As(err, &refused) && refused.Status < 500:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
	}
}

// stop is an error of the caller's function.
type stop struct{ err error }

func (s *stop) Error() string { return s.err.Error() }

func (c Client) followOnce(ctx context.Context, last *string, each func(Update) error) error {
	header := http.Header{"Accept": {"text/event-stream"}}
	if *last != "" {
		header.Set("Last-Event-ID", *last)
	}
	resp, done, err := c.open(ctx, http.MethodGet, StreamPath, nil, "", header)
	if err != nil {
		return err
	}
	defer done()
	if err := each(Update{Kind: "open"}); err != nil {
		return err
	}
	return readStream(resp.Body, last, each)
}

// maxUpdate bounds one line of the stream.
const maxUpdate = 1 << 20

// readStream reads server-sent events, and notes the identifier of the last one.
func readStream(from io.Reader, last *string, each func(Update) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxUpdate)
	var u Update
	id := ""
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if u.Kind != "" {
				if err := each(u); err != nil {
					return err
				}
				*last = id
			}
			u = Update{}
		case field == "id":
			id = value
		case field == "event":
			u.Kind = value
		case field == "data":
			u.Data = append(u.Data, value...)
		}
	}
	return lines.Err()
}
