package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// ownerID is a user without rights, as the daemon's is.
const ownerID = 65534

// ownedSite returns a data directory of another user, with a site in it, and a directory that only root may enter.
func ownedSite(t *testing.T) (data, private string) {
	t.Helper()
	netlab.Require(t, netlab.Root)
	dir, err := os.MkdirTemp("", "owner") // others must be able to enter it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, private = filepath.Join(dir, "data"), filepath.Join(dir, "private")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(data, 0o700), os.Chown(data, ownerID, ownerID), os.Mkdir(private, 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(private, "password"), "correct horse battery\n")
	run(t, true, "createadmin", "--data", data, "--username", "ada", "--password-file", filepath.Join(private, "password"))
	run(t, true, "rekey", "--data", data, "--yes", "--lost")
	return data, private
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command and checks whether it succeeds. It ends with the rights that it began with.
func run(t *testing.T, succeeds bool, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if status := Main(t.Context(), args, &out, &errs); (status == 0) != succeeds {
		t.Errorf("maas %s: %d %s%s", strings.Join(args, " "), status, &out, &errs)
	}
	if os.Geteuid() != 0 || os.Getegid() != 0 {
		t.Fatalf("maas %s left the user %d and the group %d", args[0], os.Geteuid(), os.Getegid())
	}
	return errs.String()
}

// Everything that the tools of root make in the data belongs to its owner, and what they make elsewhere to root.
func TestToolsOfRootActAsTheOwner(t *testing.T) {
	data, private := ownedSite(t)
	for _, args := range [][]string{{"backup", "site.zip"}, {"backup", "copy.db", "--sqlite"}} {
		args[1] = filepath.Join(private, args[1])
		run(t, true, append(args, "--data", data)...)
		st, err := os.Stat(args[1])
		if err != nil || st.Mode().Perm() != 0o600 || st.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("%s: %v, %v", args[1], st, err)
		}
	}
	run(t, true, "restore", filepath.Join(private, "site.zip"), "--data", data, "--yes")
	run(t, true, "restore", filepath.Join(private, "copy.db"), "--data", data, "--yes")
	run(t, true, "apikey", "--data", data, "--username", "ada")
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		if owner := st.Sys().(*syscall.Stat_t); owner.Uid != ownerID || owner.Gid != ownerID {
			t.Errorf("%s belongs to %d:%d", path, owner.Uid, owner.Gid)
		}
		if strings.Contains(path, "backup") {
			t.Errorf("left over: %s", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(private, ".maas*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

// Links in the data lead no tool to what only root may read or write.
func TestToolsOfRootDoNotFollowTheOwnersLinks(t *testing.T) {
	data, private := ownedSite(t)
	backup := filepath.Join(private, "site.zip")
	run(t, true, "backup", backup, "--data", data)
	victim := filepath.Join(private, "victim")
	const precious = "01234567890123456789012345678901"
	for _, name := range []string{"maas.db", "secret.key", "secret.key.new", "secret.key.restored", "secret.key.before-restore", "maas.db-wal", "maas.db-journal", "lock"} {
		for _, args := range [][]string{
			{"createadmin", "--username", "eve", "--password-file", filepath.Join(private, "password")}, {"apikey", "--username", "ada"},
			{"restore", backup, "--yes"}, {"rekey", "--yes"}, {"backup", filepath.Join(private, "stolen.zip")}, {"backup", filepath.Join(private, "stolen.db"), "--sqlite"},
		} {
			write(t, victim, precious)
			path := filepath.Join(data, name)
			kept := path + ".kept"
			_ = os.Rename(path, kept)
			if err := os.Symlink(victim, path); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			Main(t.Context(), append(args, "--data", data), &out, &errs) // most fail, and all leave the victim alone
			if text, err := os.ReadFile(victim); err != nil || string(text) != precious {
				t.Errorf("%s with a link %s: the victim has %q, %v", args[0], name, text, err)
			}
			if st, err := os.Stat(victim); err != nil || st.Sys().(*syscall.Stat_t).Uid != 0 {
				t.Errorf("%s with a link %s: the victim is of another user, %v", args[0], name, err)
			}
			for _, stolen := range []string{"stolen.zip", "stolen.db"} {
				if text, _ := os.ReadFile(filepath.Join(private, stolen)); bytes.Contains(text, []byte(precious)) {
					t.Errorf("%s with a link %s: the victim's text is in the backup", args[0], name)
				}
				_ = os.Remove(filepath.Join(private, stolen))
			}
			_ = os.Remove(path)
			if err := errors.Join(os.Remove(victim), os.Symlink(victim, path)); err != nil {
				t.Fatal(err)
			}
			Main(t.Context(), append(args, "--data", data), &out, &errs)
			if made, _ := filepath.Glob(victim + "*"); len(made) > 0 {
				t.Errorf("%s with a link %s to nothing: made %v", args[0], name, made)
				_ = os.Remove(victim)
			}
			_ = os.Remove(path)
			_ = os.Rename(kept, path)
		}
	}
}
