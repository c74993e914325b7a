package wire

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

// Small requests never wait; large ones wait for each other, and give up with their context.
func TestLargeRequestsOfASessionWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := make(chan struct{}, maxBulky)
		body := func(ctx context.Context, size int) *bulkBody {
			return &bulkBody{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", size))), ctx: ctx, places: places}
		}
		var large []*bulkBody
		for range maxBulky {
			b := body(t.Context(), bulkyAt+1)
			if text, err := io.ReadAll(b); err != nil || len(text) != bulkyAt+1 {
				t.Fatalf("%d bytes, %v", len(text), err)
			}
			large = append(large, b)
		}
		for range 250 {
			if text, err := io.ReadAll(body(t.Context(), bulkyAt-1)); err != nil || len(text) != bulkyAt-1 {
				t.Fatalf("a small request: %d bytes, %v", len(text), err)
			}
		}
		next, done := body(t.Context(), 10*bulkyAt), make(chan error, 1)
		go func() {
			_, err := io.ReadAll(next)
			done <- err
		}()
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := io.ReadAll(body(ctx, 10*bulkyAt))
			gone <- err
		}()
		synctest.Wait()
		if next.read > bulkyAt {
			t.Errorf("a large request above the bound read %d bytes", next.read)
		}
		cancel()
		if err := <-gone; err == nil {
			t.Error("a request whose client left was read to its end")
		}
		large[0].release()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
