package dhcpsrv

import "time"

// SetClock sets the wall clock as a running server sees it: so far ahead of the time of the test.
func (s *Server) SetClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readWall = func() int64 { return time.Now().Add(ahead).UnixNano() }
}
