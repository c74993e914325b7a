package linelog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/rpc/internal/linelog"
)

func lines(t *testing.T, path string) []string {
	t.Helper()
	var got []string
	l, err := linelog.Open(path, func(line []byte) error { got = append(got, string(line)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return got
}

func write(t *testing.T, path string, texts ...string) {
	t.Helper()
	l, err := linelog.Open(path, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, text := range texts {
		if err := l.Append([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReopenGivesEveryAppendedLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, `{"a":1}`, `{"b":2}`)
	write(t, path, `{"c":3}`)
	if diff := cmp.Diff([]string{`{"a":1}`, `{"b":2}`, `{"c":3}`}, lines(t, path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTornTailIsCutAtEveryLength(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, "first", "second")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	firstLine := strings.Index(string(whole), "\n") + 1
	for n := firstLine; n < len(whole); n++ {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		write(t, path, "third")
		if diff := cmp.Diff([]string{"first", "third"}, lines(t, path)); diff != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", n, diff)
		}
	}
}

func TestDamageInTheMiddleIsReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, "first", "second")
	whole, _ := os.ReadFile(path)
	whole[10] ^= 1
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := linelog.Open(path, func([]byte) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "damaged at byte 0") {
		t.Fatalf("got %v", err)
	}
}

func TestRewriteReplacesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := linelog.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte("old"), []byte("older")); err != nil {
		t.Fatal(err)
	}
	if err := l.Rewrite([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte("newer")); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if diff := cmp.Diff([]string{"new", "newer"}, lines(t, path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}
