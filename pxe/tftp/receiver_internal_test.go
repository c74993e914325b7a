package tftp

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// hasty is a conn whose deadlines pass too early, until they are set anew.
type hasty struct {
	net.PacketConn
	set int
}

func (c *hasty) SetReadDeadline(time.Time) error {
	c.set++
	return nil
}

func (c *hasty) ReadFrom(b []byte) (int, net.Addr, error) {
	if c.set < 3 {
		return 0, nil, os.ErrDeadlineExceeded
	}
	return copy(b, "data"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 69}, nil
}

// A deadline that passes too early is set anew, and one that is early enough is left alone.
func TestReceiverDeadline(t *testing.T) {
	c := new(hasty)
	r := newReceiver(c)
	for range 10 {
		p, from, err := r.next(time.Now().Add(time.Hour))
		if string(p) != "data" || from.Port() != 69 || err != nil {
			t.Fatalf("%q from %v: %v", p, from, err)
		}
	}
	if c.set != 3 {
		t.Errorf("the deadline was set %d times", c.set)
	}
	c.set = 0
	if _, _, err := r.next(time.Now().Add(-time.Second)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
