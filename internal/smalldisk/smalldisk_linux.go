package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// inside names the directory of the disk in the process that has it.
const inside = "MAAS_TEST_SMALL_DISK"

// Disk is the disk of one test.
type Disk struct {
	// Dir holds its path.
	Dir string

	t *testing.T
}

// Run runs f in another process with an empty disk of some bytes. What f reports fails the test.
func Run(t *testing.T, size int64, f func(Disk)) {
	t.Helper()
	if dir := os.Getenv(inside); dir != "" {
		d := Disk{Dir: dir, t: t}
		d.mount(size)
		f(d)
		return
	}
	name := "^" + strings.Join(strings.Split(t.Name(), "/"), "$/^") + "$"
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", name, "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM) && os.Geteuid() != 0:
		t.Skip("needs root or user namespaces")
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("%v\n%s", err, out)
	}
}

// mount makes the disk, which no other process sees.
func (d Disk) mount(size int64) {
	d.t.Helper()
	d.ok(syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""))
	d.ok(syscall.Mount("smalldisk", d.Dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0777", size)))
}

func (d Disk) ok(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal("disk: ", err)
	}
}

func (d Disk) filler() string { return filepath.Join(d.Dir, ".filler") }

// Fill leaves no byte free.
func (d Disk) Fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.filler(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	d.ok(err)
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal("disk: ", err)
	}
}

// Empty undoes Fill.
func (d Disk) Empty() {
	d.t.Helper()
	d.ok(os.Remove(d.filler()))
}

// ReadOnly runs f while no file of the disk can be opened for writing, made, renamed or removed. A
// file that is open already can still be written, as the kernel refuses to make its disk read-only.
func (d Disk) ReadOnly(f func()) {
	d.t.Helper()
	// A second mount over the first one: the first has files open, this one has none.
	d.ok(syscall.Mount(d.Dir, d.Dir, "", syscall.MS_BIND, ""))
	d.ok(syscall.Mount("", d.Dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
	f()
	d.ok(syscall.Unmount(d.Dir, syscall.MNT_DETACH))
}
