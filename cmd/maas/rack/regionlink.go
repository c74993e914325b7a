package rack

import (
	"context"
	"sync/atomic"

	"github.com/gomaas/maas/rpc"
)

// regionLink calls the region with which the rack has a session. Without a session, calls fail with
// rpc.ErrUnavailable.
type regionLink struct{ conn atomic.Pointer[rpc.Conn] }

// use sends calls through conn until end is called.
func (l *regionLink) use(conn rpc.Conn) (end func()) {
	l.conn.Store(&conn)
	return func() { l.conn.CompareAndSwap(&conn, nil) }
}

// Call implements rpc.Caller.
func (l *regionLink) Call(ctx context.Context, method string, in []byte) ([]byte, error) {
	conn := l.conn.Load()
	if conn == nil {
		return nil, rpc.ErrUnavailable
	}
	return (*conn).Call(ctx, method, in)
}
