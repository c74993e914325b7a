package wire

import (
	"context"
	"io"
)

// A session may have 250 requests at a time, and a request 16 MiB. So that one rack cannot take up
// gigabytes of the region's memory, only a few requests of a session may be large at a time; the
// others wait, in the rack's buffers.
const (
	maxBulky = 4        // large requests of a session that are being read or served
	bulkyAt  = 64 << 10 // bytes from which on a request is large
)

// bulkBody is the body of a request that takes a place among the large ones if it is one.
type bulkBody struct {
	io.ReadCloser
	ctx    context.Context
	places chan struct{} // holds one for each large request
	read   int
	held   bool
}

func (b *bulkBody) Read(p []byte) (int, error) {
	if b.read >= bulkyAt && !b.held {
		select {
		case b.places <- struct{}{}:
			b.held = true
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
	if !b.held {
		p = p[:min(len(p), bulkyAt-b.read)]
	}
	n, err := b.ReadCloser.Read(p)
	b.read += n
	return n, err
}

// release gives the place back, when the request is served and its arguments are no longer needed.
func (b *bulkBody) release() {
	if b.held {
		<-b.places
	}
}
