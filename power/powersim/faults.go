package powersim

import (
	"bytes"
	"net"
	"net/http"
	"sync"

	"github.com/bougou/go-ipmi/pkg/transport/udp"
)

// faults are the ways in which a BMC misbehaves on the wire.
type faults struct {
	mu     sync.Mutex // guards the fields below
	silent bool
	gone   map[string]bool // clients whose sessions were forgotten
	seen   map[string]bool // clients that were heard
	end    func()          // forgets all sessions; nil = by client
}

// Stall makes the BMC stop in the middle of an answer (Redfish) or not answer at all (IPMI), until
// Stall(false).
func (b *BMC) Stall(on bool) {
	b.faults.mu.Lock()
	defer b.faults.mu.Unlock()
	b.faults.silent = on
}

// EndSessions makes the BMC forget all its sessions, as some do when they are busy.
func (b *BMC) EndSessions() {
	if b.faults.end != nil {
		b.faults.end()
		return
	}
	b.faults.mu.Lock()
	defer b.faults.mu.Unlock()
	b.faults.gone, b.faults.seen = b.faults.seen, map[string]bool{}
}

func (f *faults) stalls() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.silent
}

// faultyConn loses packets. A BMC that has forgotten a session ignores what comes for it.
type faultyConn struct {
	*udp.Conn
	faults *faults
}

// ReadFrom reads the next packet that the BMC gets to see.
func (c *faultyConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.Conn.ReadFrom(b)
		if err != nil || c.faults.hears(from.String()) {
			return n, from, err
		}
	}
}

func (f *faults) hears(client string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	// A BMC sends no error for a session that it does not know: the client has to notice by itself.
	if f.silent || f.gone[client] {
		return false
	}
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[client] = true
	return true
}

// stalling sends half of each answer and then nothing while the BMC stalls.
func (f *faults) stalling(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.stalls() {
			next.ServeHTTP(w, r)
			return
		}
		half := &halfWriter{ResponseWriter: w}
		next.ServeHTTP(half, r)
		_, _ = w.Write(half.body.Bytes()[:half.body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		// A real BMC that hangs keeps the connection open; closing it would be another failure.
		<-r.Context().Done() // until the client gives up
		panic(http.ErrAbortHandler)
	})
}

// halfWriter keeps the body back.
type halfWriter struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (h *halfWriter) Write(b []byte) (int, error) { return h.body.Write(b) }
