package wire

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Strangers cannot fill the log: of what they do, this many lines are written at once, and then one in so much time.
const (
	complaintsAtOnce = 20
	complaintEvery   = 5 * time.Second
)

// complaints writes warnings about those who are not let in, and only counts what is too much.
type complaints struct {
	log *slog.Logger

	mu     sync.Mutex // guards following
	free   int        // lines that may be written now
	since  time.Time  // when free was true
	unsaid int
}

func newComplaints(log *slog.Logger) *complaints {
	return &complaints{log: log, free: complaintsAtOnce, since: time.Now()}
}

// warn writes a line, or counts it.
func (c *complaints) warn(msg string, args ...any) {
	c.mu.Lock()
	more := int(time.Since(c.since) / complaintEvery)
	c.since = c.since.Add(time.Duration(more) * complaintEvery)
	c.free = min(c.free+more, complaintsAtOnce)
	if c.free == 0 {
		c.unsaid++
		c.mu.Unlock()
		return
	}
	c.free--
	if c.unsaid > 0 {
		args = append(args, "and more", c.unsaid)
		c.unsaid = 0
	}
	c.mu.Unlock()
	c.log.Warn(msg, args...)
}

// Write takes what net/http has to say, which is about handshakes that fail.
func (c *complaints) Write(line []byte) (int, error) {
	c.warn("connection refused", "err", strings.TrimSpace(string(line)))
	return len(line), nil
}
