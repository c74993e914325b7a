package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/internal/atomicfile"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	for _, text := range []string{"one", "another, longer", ""} {
		f, err := atomicfile.Replace(path, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("+"); err != nil {
			t.Fatal(err)
		}
		f.Close()
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text+"+" {
			t.Errorf("%q, %v; want %q and what was appended", got, err, text)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
		}
	}
	only(t, dir, "state")
}

// A failure leaves neither the temporary file nor a change.
func TestReplaceThatFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := atomicfile.Replace(path, []byte("x")); err == nil {
		t.Error("a directory that is not empty was replaced")
	}
	only(t, dir, "state")
	if _, err := atomicfile.Replace(filepath.Join(dir, "absent", "state"), nil); err == nil {
		t.Error("a file was made in a directory that does not exist")
	}
}

func only(t *testing.T, dir, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != want {
		t.Errorf("%v, %v; want %s alone", entries, err, want)
	}
}
