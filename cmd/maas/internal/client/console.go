package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Console attaches to the serial console of a machine by name or system ID; ctx bounds the whole of
// it. Reads return what the machine prints, and io.EOF when the console has ended; writes type, and
// Close detaches.
func (c Client) Console(ctx context.Context, name string, steal bool) (io.ReadWriteCloser, error) {
	path := "/api/v1/machines/" + url.PathEscape(name) + "/console"
	if steal {
		path += "?steal=true"
	}
	ctx, cancel := context.WithCancel(ctx)
	// A request without a length: its body goes on while the answer is read.
	keys, typed := io.Pipe()
	resp, done, err := c.open(ctx, http.MethodPost, path, keys, "application/octet-stream", nil)
	if err != nil {
		cancel()
		return nil, err
	}
	return &console{body: resp.Body, PipeWriter: typed, end: sync.OnceFunc(func() { done(); cancel() })}, nil
}

// detachTime is the time in which the site answers the end of what is typed with the end of the
// console.
const detachTime = 5 * time.Second

// console is a request whose body and answer go on.
type console struct {
	*io.PipeWriter
	body   io.Reader
	end    func()
	closed atomic.Bool
}

// Read implements io.Reader.
func (c *console) Read(b []byte) (int, error) {
	n, err := c.body.Read(b)
	if err != nil {
		c.end()
		if c.closed.Load() {
			err = io.EOF
		}
	}
	return n, err
}

// Close implements io.Closer. Reads go on until the site has ended the console, so that nothing
// that was typed before is lost.
func (c *console) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	time.AfterFunc(detachTime, c.end)
	return c.PipeWriter.Close()
}
