package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/internal/storetest"
	"github.com/gomaas/maas/store/pgtest"
)

// server is PostgreSQL for the tests of this package.
var server pgtest.Shared

const childEnv = "STORE_TEST_CHILD"

// TestMain also plays processes that have less room or fewer rights.
func TestMain(m *testing.M) {
	mode, url, _ := strings.Cut(os.Getenv(childEnv), " ")
	switch mode {
	case "":
		code := m.Run()
		server.Stop()
		os.Exit(code)
	case "full":
		// Files cannot grow beyond 256 KiB: what a full disk looks like.
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 256 << 10, Max: math.MaxUint64}); err != nil {
			fmt.Println("setrlimit", err)
		}
		fill(url)
	case "open":
		if os.Geteuid() == 0 { // root may write everything: become another user
			if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(65534), syscall.Setuid(65534)); err != nil {
				fmt.Println("setuid", err)
			}
		}
		db, err := store.Open(context.Background(), url, storetest.Schema())
		fmt.Println(err)
		if err == nil {
			db.Close()
		}
	}
}

// fill writes rows until it fails, printing how many were acknowledged.
func fill(url string) {
	ctx := context.Background()
	db, err := store.Open(ctx, url, storetest.Schema())
	if err != nil {
		fmt.Println("open", err)
		return
	}
	defer db.Close()
	insert := func(name string) error {
		return db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO zone (name, description) VALUES (?, ?)", name, strings.Repeat("x", 1000))
			return err
		})
	}
	i := 0
	for ; err == nil; i++ {
		if err = insert(fmt.Sprint("zone", i)); err == nil && db.WriteError() != nil {
			err = fmt.Errorf("a write error without a failure: %w", db.WriteError())
		}
	}
	acknowledged := i - 1
	if db.WriteError() == nil {
		err = fmt.Errorf("no write error after %w", err)
	}
	// A transaction without a statement that writes shows nothing about the disk, and neither does one that its caller gave up.
	empty := db.Update(ctx, func(context.Context, *store.Tx) error { return nil })
	refused := db.Update(ctx, func(context.Context, *store.Tx) error { return errors.New("refused") })
	if empty != nil || refused == nil || db.WriteError() == nil {
		err = fmt.Errorf("forgotten by transactions that write nothing: %w", err)
	}
	raise := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: math.MaxUint64, Max: math.MaxUint64})
	if after := errors.Join(raise, insert("after")); after != nil || db.WriteError() != nil {
		err = fmt.Errorf("with room on the disk: %v, %v: %w", after, db.WriteError(), err)
	} else {
		acknowledged++
	}
	if insert("after") == nil || db.WriteError() != nil {
		err = fmt.Errorf("a name that is taken: %v: %w", db.WriteError(), err)
	}
	fmt.Println(acknowledged, strings.ReplaceAll(err.Error(), "\n", " "))
}

func child(t *testing.T, mode, url string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+mode+" "+url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestFullDisk(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "maas.db")
	open(t, url).Close() // the schema needs some room itself
	out := child(t, "full", url)
	acknowledged := 0
	if _, err := fmt.Sscan(out, &acknowledged); err != nil || acknowledged == 0 {
		t.Fatalf("the writer says %q", out)
	}
	if !strings.HasPrefix(out, fmt.Sprintf("%d store: ", acknowledged)) || !strings.Contains(out, "the disk is full") || strings.Contains(out, "\n") {
		t.Errorf("the error does not speak of the disk: %s", out)
	}
	db := open(t, url)
	err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		n := 0
		if err := tx.Get(ctx, "SELECT COUNT(*) FROM zone", nil, &n); err != nil {
			return err
		}
		if n != acknowledged {
			t.Errorf("%d rows are there, %d were acknowledged", n, acknowledged)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadOnlyFile(t *testing.T) {
	dir, err := os.MkdirTemp("", "store") // others must be able to enter it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "maas.db")
	open(t, "sqlite://"+path).Close()
	for p, mode := range map[string]os.FileMode{path: 0o444, dir: 0o755} {
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	got, _, _ := strings.Cut(child(t, "open", "sqlite://"+path), "\n") // with -cover it has more to say
	want := "store: " + path + ": cannot be opened for writing: permission denied; give the user that runs the program read and write access to the file and its directory"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
