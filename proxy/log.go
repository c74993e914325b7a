package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
)

// LogAccess returns a function for [Config.Access] that logs each request at level Info.
func LogAccess(log *slog.Logger) func(Access) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return func(a Access) {
		log.LogAttrs(context.Background(), slog.LevelInfo, "request", slog.String("client", a.Client.String()), slog.String("method", a.Method),
			slog.String("url", a.URL), slog.Int("status", a.Status), slog.Int64("bytes", a.Bytes), slog.String("cache", a.Cache),
			slog.Duration("took", a.Duration))
	}
}

// CommonLog returns a function for [Config.Access] that writes a line in the common log format for
// each request, with how the cache answered and the duration in milliseconds behind it. Lines are
// written one at a time; errors of w are ignored.
func CommonLog(w io.Writer) func(Access) {
	if w == nil {
		w = io.Discard
	}
	var mu sync.Mutex
	return func(a Access) {
		line := fmt.Sprintf("%s - - [%s] %s %03d %d %s %d\n", a.Client, a.Time.Format("02/Jan/2006:15:04:05 -0700"),
			strconv.QuoteToASCII(a.Method+" "+a.URL+" "+a.Proto), a.Status, a.Bytes, strconv.QuoteToASCII(a.Cache), a.Duration.Milliseconds())
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.WriteString(w, line)
	}
}
