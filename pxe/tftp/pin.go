package tftp

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// FromPin serves with a handler written for github.com/pin/tftp: it is called with the file name
// and something to send by, and blocks in ReadFrom until the transfer is over. What it is given
// also has SetSize(int64), RemoteAddr() net.UDPAddr and LocalIP() net.IP, as there. ReadFrom
// returns when all data has been taken from the reader, or with an error when the transfer ended
// before.
func FromPin(handler func(name string, rf io.ReaderFrom) error) Handler {
	return HandlerFunc(func(ctx context.Context, r *Request) (File, error) {
		p := &pinTransfer{request: r, size: -1, opened: make(chan io.Reader), failed: make(chan error, 1),
			closed: make(chan struct{}), ended: make(chan struct{})}
		go func() {
			defer close(p.ended)
			p.failed <- handler(r.Name, p)
		}()
		select {
		case src := <-p.opened:
			return File{Reader: pinReader{src, p}, Size: p.size}, nil
		case err := <-p.failed:
			if err == nil {
				err = errors.New("tftp: the handler sent nothing")
			}
			return File{}, err
		case <-ctx.Done():
			close(p.closed)
			return File{}, context.Cause(ctx)
		}
	})
}

// pinTransfer joins the handler's goroutine with the transfer's.
type pinTransfer struct {
	request *Request
	size    int64
	opened  chan io.Reader
	failed  chan error
	closed  chan struct{} // the transfer is over
	ended   chan struct{} // the handler has returned
	read    int64         // bytes taken; read by the handler after closed
	eof     bool
}

var errPinCut = errors.New("tftp: transfer ended early")

// ReadFrom hands src to the transfer and waits for its end.
func (p *pinTransfer) ReadFrom(src io.Reader) (int64, error) {
	if s, ok := src.(io.Seeker); ok && p.size < 0 {
		p.size = remaining(s)
	}
	select {
	case p.opened <- src:
	case <-p.closed: // a second call, or the server has ended
		return 0, errPinCut
	}
	<-p.closed
	if !p.eof {
		return p.read, errPinCut
	}
	return p.read, nil
}

// remaining returns the bytes from the present position to the end, -1 when s cannot tell.
func remaining(s io.Seeker) int64 {
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return -1
	}
	end, err := s.Seek(0, io.SeekEnd)
	if err != nil {
		return -1
	}
	if _, err := s.Seek(at, io.SeekStart); err != nil {
		return -1
	}
	return end - at
}

// SetSize sets what tsize answers.
func (p *pinTransfer) SetSize(n int64) { p.size = n }

// RemoteAddr returns the client's end.
func (p *pinTransfer) RemoteAddr() net.UDPAddr { return *net.UDPAddrFromAddrPort(p.request.Client) }

// LocalIP returns the address the request was sent to, nil when unknown.
func (p *pinTransfer) LocalIP() net.IP { return p.request.Local.AsSlice() }

// pinReader is the handler's source as the transfer's file.
type pinReader struct {
	io.Reader
	*pinTransfer
}

// Read counts what the transfer took.
func (r pinReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.read += int64(n)
	r.eof = errors.Is(err, io.EOF)
	return n, err
}

// Close lets the handler return, and waits for it.
func (r pinReader) Close() error {
	close(r.closed)
	select {
	case <-r.ended:
	case <-time.After(time.Minute): // it is its own fault
	}
	return nil
}
