package proxy

import (
	"cmp"
	"net"
	"net/netip"
	"sync"
)

// defaultPerClient is more than any installer opens.
const defaultPerClient = 256

// LimitClients returns a listener whose clients may have so many connections each at a time; others
// are closed at once. Zero means 256. It bounds what one machine can take up by opening connections
// and being slow.
func LimitClients(ln net.Listener, most int) net.Listener {
	return &limited{Listener: ln, most: cmp.Or(max(most, 0), defaultPerClient), open: make(map[netip.Addr]int)}
}

type limited struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[netip.Addr]int
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client, err := netip.ParseAddrPort(conn.RemoteAddr().String())
		if err != nil { // no address, such as a pipe's
			return conn, nil
		}
		if l.enter(client.Addr()) {
			leave := sync.OnceFunc(func() { l.leave(client.Addr()) })
			if tcp, ok := conn.(*net.TCPConn); ok { // by which files go out with sendfile
				return &limitedTCP{tcp, leave}, nil
			}
			return &limitedConn{conn, leave}, nil
		}
		// Closing costs nothing, while an answer would wait for a client that may never read it.
		conn.Close()
	}
}

func (l *limited) enter(client netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[client] >= l.most {
		return false
	}
	l.open[client]++
	return true
}

func (l *limited) leave(client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[client]--; l.open[client] == 0 {
		delete(l.open, client)
	}
}

type limitedTCP struct {
	*net.TCPConn
	leave func()
}

func (c *limitedTCP) Close() error {
	c.leave()
	return c.TCPConn.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
