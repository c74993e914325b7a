package objects_test

import (
	"errors"
	"testing"

	"github.com/gomaas/maas/proxy/internal/objects"
)

// Room that a body reserved is free again however the body ended, and a body that must grow beyond the limit does not.
func TestReservedRoomIsGivenBack(t *testing.T) {
	const limit = 4 << 20
	s, err := objects.Open(t.TempDir(), limit)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	no := func() bool { return false }
	ends := map[string]func(w *objects.Writer, m *objects.Meta) error{
		"abort":    func(w *objects.Writer, _ *objects.Meta) error { w.Abort(); return nil },
		"commit":   func(w *objects.Writer, m *objects.Meta) error { return w.Commit(m, 1000, no) },
		"outdated": func(w *objects.Writer, m *objects.Meta) error { return w.Commit(m, 1000, func() bool { return true }) },
		"partial": func(w *objects.Writer, m *objects.Meta) error {
			return w.KeepPartial(m, objects.Extents{{Start: 0, End: 1000}}, no)
		},
		"resumed": func(w *objects.Writer, m *objects.Meta) error {
			if err := w.KeepPartial(m, objects.Extents{{Start: 0, End: 1000}}, no); err != nil {
				return err
			}
			again, _, err := s.Resume(s.Partial(m.URL))
			if err == nil {
				again.Abort()
			}
			return err
		},
	}
	for name, end := range ends {
		for range 20 {
			w, err := s.Create(limit)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := s.Create(1); !errors.Is(err, objects.ErrNoRoom) {
				t.Fatalf("%s: a second body: %v", name, err)
			}
			if _, err := w.WriteAt(make([]byte, 1000), 0); err != nil {
				t.Fatal(err)
			}
			if err := end(w, &objects.Meta{URL: "http://a.example/" + name, Status: 200, Size: 1000}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	w, err := s.Create(0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	var wrote int64
	for err == nil && wrote < 2*limit {
		var n int
		n, err = w.WriteAt(make([]byte, 100_000), wrote)
		wrote += int64(n)
	}
	if !errors.Is(err, objects.ErrNoRoom) || wrote > limit || wrote < limit-100_000 {
		t.Errorf("a body grew to %d of %d bytes: %v", wrote, limit, err)
	}
}
