package damaged_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/internal/damaged"
)

func TestMoveAsideKeepsThree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for i := range 10 {
		if err := os.WriteFile(path, fmt.Append(nil, i), 0o600); err != nil {
			t.Fatal(err)
		}
		to, err := damaged.MoveAside(path)
		if want := fmt.Sprintf("%s.damaged-%d", path, min(i+1, 3)); err != nil || to != want {
			t.Fatalf("%s, %v; want %s", to, err, want)
		}
		if text, err := os.ReadFile(to); err != nil || string(text) != fmt.Sprint(i) {
			t.Fatalf("%s holds %q, %v", to, text, err)
		}
	}
	if names, _ := filepath.Glob(path + "*"); len(names) != 3 {
		t.Errorf("%v", names)
	}
	if _, err := damaged.MoveAside(path); err == nil {
		t.Error("a missing file was moved")
	}
}
