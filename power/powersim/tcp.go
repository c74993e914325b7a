package powersim

import (
	"io"
	"net"
	"sync"
)

// tcpService is a BMC that speaks a protocol of its own over TCP.
type tcpService struct {
	ln      net.Listener
	serve   func(net.Conn)
	faults  *faults
	running sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu
}

// serveTCP serves connections until close. Each is closed when serve returns.
func serveTCP(ln net.Listener, serve func(net.Conn)) *tcpService {
	s := &tcpService{ln: ln, serve: serve, faults: &faults{}, conns: map[net.Conn]bool{}}
	s.faults.end = s.drop
	s.running.Go(s.accept)
	return s
}

func (s *tcpService) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// drop ends all connections.
func (s *tcpService) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
}

// close ends the service and waits for what it does to the chassis.
func (s *tcpService) close(c *Chassis) error {
	err := s.ln.Close()
	s.drop()
	s.running.Wait()
	c.changes.Wait()
	return err
}

func (s *tcpService) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.running.Go(func() {
			defer func() {
				s.mu.Lock()
				delete(s.conns, conn)
				s.mu.Unlock()
				conn.Close()
			}()
			if s.faults.stalls() {
				_, _ = io.Copy(io.Discard, conn) // until the client gives up
				return
			}
			s.serve(conn)
		})
	}
}
