package linelog_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
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

// Whichever octet is damaged, the lines without damage are read, the file is kept beside, and the log works.
func TestDamagedLinesAreSkipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, "first", "second", "third")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		for _, flip := range []byte{1, 0x20, 0x80, 0xff, whole[at] ^ '\n'} {
			spoiled := slices.Clone(whole)
			if spoiled[at] ^= flip; bytes.Equal(spoiled, whole) {
				continue
			}
			if err := os.WriteFile(path, spoiled, 0o600); err != nil {
				t.Fatal(err)
			}
			var got []string
			l, err := linelog.Open(path, func(line []byte) error { got = append(got, string(line)); return nil })
			if err != nil {
				t.Fatal(err)
			}
			if len(got) < 1 || len(got) > 2 || slices.ContainsFunc(got, func(s string) bool { return !strings.Contains("first second third", s) }) {
				t.Fatalf("octet %d changed to %q: %q", at, spoiled[at], got)
			}
			// Without its newline, the last line is one that a crash interrupted.
			if cut := at == len(whole)-1; (l.Damaged() == "") != cut {
				t.Fatalf("octet %d changed to %q: moved to %q", at, spoiled[at], l.Damaged())
			} else if kept, err := os.ReadFile(l.Damaged()); !cut && (err != nil || !bytes.Equal(kept, spoiled)) {
				t.Fatalf("octet %d: %q is kept, %v", at, kept, err)
			}
			if err := l.Rewrite([]byte("again")); err != nil {
				t.Fatal(err)
			}
			l.Close()
			if got := lines(t, path); len(got) != 1 || got[0] != "again" {
				t.Fatalf("octet %d: then %q", at, got)
			}
		}
	}
}

func TestRefusedLinesAreDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write(t, path, "first", "second")
	l, err := linelog.Open(path, func(line []byte) error {
		if string(line) == "first" {
			return errors.New("of another version")
		}
		return nil
	})
	if err != nil || l.Damaged() == "" || l.Size() != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	l.Close()
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
