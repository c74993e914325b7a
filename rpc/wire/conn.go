package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gomaas/maas/rpc"
)

// conn is the rack's end of a connection.
type conn struct {
	http   *http.ClientConn
	base   string        // of URLs
	region string        // its name, "" when it did not say
	slots  chan struct{} // holds one for each request that ends by itself
	once   sync.Once
	closed chan struct{}
}

// maxWaits is the number of streams that are left to requests that wait: for state, and for
// announcements. Without it, many calls at once could use up the streams, and state would not
// arrive.
const maxWaits = 50

// Close ends the connection and everything that uses it.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.http.Close()
}

// lost makes an error of the transport one of the connection, unless the caller has gone.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("wire: %w: %w", rpc.ErrUnavailable, err)
}

// post sends a request. The body of the answer is the caller's to close.
func (c *conn) post(ctx context.Context, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		// A duration and not a time: the clocks of the two sides may differ.
		request.Header.Set(timeoutHeader, strconv.FormatInt(max(1, time.Until(deadline).Milliseconds()), 10))
	}
	if m := rpc.Metadata(ctx); len(m) > 0 {
		request.Header.Set(metadataHeader, encodeMetadata(m))
	}
	if path == pathFacts {
		request.Header.Set(clockHeader, time.Now().Format(time.RFC3339Nano))
	}
	response, err := c.http.RoundTrip(request)
	if err != nil {
		return nil, lost(ctx, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	var a answer
	if json.Unmarshal(text, &a) == nil && a.Error != nil {
		return nil, a.Error
	}
	return nil, fmt.Errorf("wire: the region refuses %s: %s", path, response.Status)
}

// ask sends a request that ends by itself and reads its answer.
func (c *conn) ask(ctx context.Context, path string, body []byte) ([]byte, error) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.closed:
		return nil, lost(ctx, errors.New("connection closed"))
	}
	defer func() { <-c.slots }()
	response, err := c.post(ctx, path, body)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	out, err := io.ReadAll(io.LimitReader(response.Body, maxCall+maxMessage))
	if err != nil {
		return nil, lost(ctx, err)
	}
	return out, nil
}

func (c *conn) hello(ctx context.Context) error {
	text, err := c.ask(ctx, pathHello, []byte("{}"))
	if err != nil {
		return err
	}
	var a helloAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("wire: %w: answer cut off", rpc.ErrUnavailable)
	}
	c.region = a.Region
	return nil
}

// RegionOf is the name of the region that a connection of a [Dialer] leads to, empty when it did
// not say.
func RegionOf(c rpc.Conn) string {
	if c, is := c.(*conn); is {
		return c.region
	}
	return ""
}

// Next waits for state.
func (c *conn) Next(ctx context.Context, topic string, from rpc.Position) (rpc.Update, error) {
	body, err := json.Marshal(nextRequest{topic, from})
	if err != nil {
		return rpc.Update{}, err
	}
	response, err := c.post(ctx, pathNext, body)
	if err != nil {
		return rpc.Update{}, err
	}
	defer response.Body.Close()
	u, err := readUpdate(response.Body)
	if err != nil {
		return rpc.Update{}, lost(ctx, err)
	}
	return u, nil
}

// factsAtOnce bounds a batch of several facts, in bytes. A single larger one travels alone.
const factsAtOnce = 1 << 20

// Deliver hands facts over, in several requests if they are large.
func (c *conn) Deliver(ctx context.Context, facts []rpc.Fact) error {
	for len(facts) > 0 {
		n, size := 1, len(facts[0].Data)
		for n < len(facts) && size+len(facts[n].Data) <= factsAtOnce {
			size += len(facts[n].Data)
			n++
		}
		body, err := json.Marshal(facts[:n])
		if err != nil {
			return err
		}
		text, err := c.ask(ctx, pathFacts, body)
		if err != nil {
			return err
		}
		if _, err := decodeAnswer(text); err != nil {
			return err
		}
		facts = facts[n:]
	}
	return nil
}

func decodeAnswer(text []byte) ([]byte, error) {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("wire: %w: answer cut off", rpc.ErrUnavailable)
	}
	return a.unpack()
}

// Call calls the region.
func (c *conn) Call(ctx context.Context, method string, in []byte) ([]byte, error) {
	if len(in) > maxCall {
		return nil, rpc.AsError(method, fmt.Errorf("%w: arguments of %d bytes, at most %d can be sent", rpc.ErrInvalid, len(in), maxCall))
	}
	text, err := c.ask(ctx, pathCall+url.PathEscape(method), in)
	if err != nil {
		return nil, rpc.AsError(method, err)
	}
	return decodeAnswer(text)
}

// Accept answers the region's calls.
func (c *conn) Accept(ctx context.Context, m *rpc.Methods) error {
	response, err := c.post(ctx, pathAccept, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	ctx, cancel := context.WithCancel(ctx)
	a := &acceptor{conn: c, methods: m, running: map[uint64]context.CancelFunc{}}
	defer a.calls.Wait()
	defer cancel()
	return lost(ctx, a.read(ctx, newDecoder(response.Body)))
}

// longestCall bounds a call whose caller set no deadline.
const longestCall = time.Hour

// acceptor runs announced calls.
type acceptor struct {
	conn    *conn
	methods *rpc.Methods
	calls   sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	running map[uint64]context.CancelFunc
}

// read follows the announcements until they end.
func (a *acceptor) read(ctx context.Context, d decoder) error {
	var call announcement
	for {
		kind, body, err := d.next()
		if err != nil {
			return midway(err, false)
		}
		switch kind {
		case kindCall, kindCancel:
			call = announcement{}
			if err := json.Unmarshal(body, &call); err != nil {
				return fmt.Errorf("%w: announcement: %v", errMalformed, err)
			}
			if kind == kindCancel {
				a.cancel(call.ID)
			}
		case kindArgs:
			a.start(ctx, call, body)
		}
	}
}

func (a *acceptor) start(ctx context.Context, call announcement, args []byte) {
	timeout := time.Duration(call.Timeout) * time.Millisecond
	if timeout <= 0 {
		timeout = longestCall
	}
	callCtx, cancel := context.WithTimeout(rpc.WithMetadata(ctx, call.Metadata), timeout)
	a.mu.Lock()
	a.running[call.ID] = cancel
	a.mu.Unlock()
	a.calls.Go(func() {
		defer a.cancel(call.ID)
		out, err := a.methods.Call(callCtx, call.Method, args)
		body, merr := json.Marshal(answerOf(call.Method, out, err))
		if merr == nil && len(body) > maxCall {
			merr = fmt.Errorf("answer of %d bytes, at most %d can be sent", len(body), maxCall)
		}
		if merr != nil {
			body, _ = json.Marshal(answerOf(call.Method, nil, merr))
		}
		// When this fails, the caller's connection is lost and no call waits for it.
		_, _ = a.conn.ask(ctx, pathAnswer+strconv.FormatUint(call.ID, 10), body)
	})
}

func (a *acceptor) cancel(id uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cancel := a.running[id]; cancel != nil {
		cancel()
		delete(a.running, id)
	}
}
