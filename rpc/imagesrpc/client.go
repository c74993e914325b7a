package imagesrpc

import (
	"context"
	"net"
	"net/http"
	"time"
)

var defaultClient = NewClient(nil)

// NewClient returns a client for the neighbors of a rack, which goes through no proxy, and keeps
// connections open between pieces until its CloseIdleConnections. If dial is nil, a neighbor has
// two seconds to accept a connection.
func NewClient(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second}}
}
