package region

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// A database that can be read and not written shows on readyz, until a write succeeds.
func TestReadyzHasTheLastWriteError(t *testing.T) {
	r, _ := opened(t)
	ready := func() (int, string) {
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		return w.Code, w.Body.String()
	}
	room := func(pages string) {
		t.Helper()
		ok(t, r.db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.Get(ctx, "PRAGMA max_page_count = "+pages, nil, new(int))
		}))
	}
	room("1") // no more than the file has now, as on a full disk
	var err error
	for err == nil {
		err = r.inv.Events.Add(t.Context(), inventory.Event{Kind: "test", Description: strings.Repeat("x", 4000)})
	}
	if code, text := ready(); code != http.StatusServiceUnavailable || text != "the database cannot be written: the disk is full; make room on it\n" {
		t.Errorf("after %v: %d %s", err, code, text)
	}
	room("1000000")
	ok(t, r.inv.Events.Add(t.Context(), inventory.Event{Kind: "test", Description: "room again"}))
	if code, text := ready(); code != 200 || text != "ok\n" {
		t.Errorf("with room again: %d %s", code, text)
	}
}
