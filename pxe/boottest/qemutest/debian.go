//go:build linux

package qemutest

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// NewDebian makes a guest in a directory of the test that is a whole Debian: systemd, cloud-init,
// networkd and the packages that these need, as the running system has them installed, in an initrd
// of about 60 MB. It needs 1,500 MB of memory. Tests for what the running system lacks are skipped.
func NewDebian(t testing.TB) Guest {
	t.Helper()
	kernel := Unpacked(t, "amd64", kernelPackage)
	kernels, _ := filepath.Glob(filepath.Join(kernel, "boot", "vmlinuz-*"))
	if len(kernels) == 0 {
		t.Fatalf("no kernel in %s", kernel)
	}
	netlab.Require(t, netlab.Program("dpkg-query", "dpkg"))
	files, err := installed(t.Context(), "systemd-sysv", "udev", "dbus", "cloud-init", "netplan.io", "iproute2", "iputils-ping", "login", "procps")
	if err != nil {
		cannot(t, err)
	}
	g := Guest{Kernel: kernels[0], Initrd: filepath.Join(t.TempDir(), "debian.gz")}
	if err := writeDebian(g.Initrd, kernel, files); err != nil {
		t.Fatal(err)
	}
	return g
}

// debianModules are loaded before systemd starts, in this order. The guest has no modprobe.
var debianModules = append(slices.Clone(modules), "tls", "bonding", "llc", "stp", "mrp", "garp", "8021q", "bridge")

// debianInit loads the modules and becomes systemd.
const debianInit = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for m in %s; do $b insmod /modules/$m.ko max_bonds=0; done # systemd makes bonds
exec /lib/systemd/systemd
`

// debianUnits are enabled, by the target that wants them. Packages enable them in scripts, which do
// not run here.
var debianUnits = map[string][]string{
	"multi-user.target": {"systemd-networkd.service"},
	"cloud-init.target": {"cloud-init-local.service", "cloud-init.service", "cloud-config.service", "cloud-final.service"},
}

// writeDebian packs files of the running system with modules of a kernel.
func writeDebian(name, kernel string, files []string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		return err
	}
	c := cpioWriter{w: z}
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "root", "modules", "etc/systemd/system", "var/lib/cloud", "var/log"} {
		for _, parent := range parents(d + "/x") {
			c.add(parent, 0o040755, nil)
		}
	}
	if err := errors.Join(addInstalled(&c, files), addModules(&c, kernel)); err != nil {
		return err
	}
	for target, units := range debianUnits {
		c.add("etc/systemd/system/"+target+".wants", 0o040755, nil)
		for _, u := range units {
			c.add("etc/systemd/system/"+target+".wants/"+u, 0o120777, []byte("/lib/systemd/system/"+u))
		}
	}
	c.add("etc/machine-id", 0o100644, nil)
	c.add("TRAILER!!!", 0, nil)
	return errors.Join(c.err, z.Close(), f.Close())
}

// addModules adds the modules that are not in the kernel, busybox, and the program that runs first.
func addModules(c *cpioWriter, kernel string) error {
	loaded := ""
	for _, m := range debianModules {
		found, _ := filepath.Glob(filepath.Join(kernel, "lib/modules/*/kernel/*/*", m+".ko"))
		deeper, _ := filepath.Glob(filepath.Join(kernel, "lib/modules/*/kernel/*/*/*", m+".ko"))
		for _, file := range append(found, deeper...) {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			c.add("modules/"+m+".ko", 0o100644, data)
			loaded += m + " "
		}
	}
	busybox, err := staticBusybox()
	c.add("usr/bin/busybox", 0o100755, busybox)
	c.add("init", 0o100755, fmt.Appendf(nil, debianInit, loaded))
	return err
}

// unneeded are files that no program of the guest reads.
var unneeded = regexp.MustCompile(`^/usr/share/(doc|man|locale|info|lintian|i18n|zoneinfo|bash-completion)/|/perl5?/`)

// settings are files that scripts of packages write.
var settings = []string{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/alternatives/awk",
	"/usr/bin/awk", "/bin", "/sbin", "/lib", "/lib64"}

// addInstalled adds files by their paths, each with the directories above it and, for a module of
// Python, its compiled form, without which cloud-init takes a minute more in an emulated processor.
func addInstalled(c *cpioWriter, files []string) error {
	seen := map[string]bool{}
	for _, file := range append(slices.Clone(settings), files...) {
		dir, err := filepath.EvalSymlinks(filepath.Dir(file))
		if err != nil || unneeded.MatchString(file) {
			continue // a package's file that the administrator removed
		}
		file = filepath.Join(dir, filepath.Base(file))
		paths := append(parents(file), file)
		if module, ok := strings.CutSuffix(filepath.Base(file), ".py"); ok {
			compiled, _ := filepath.Glob(filepath.Join(dir, "__pycache__", module+".cpython-*.pyc"))
			for _, pyc := range compiled {
				paths = append(paths, filepath.Dir(pyc), pyc)
			}
		}
		for _, p := range paths {
			if !seen[p] {
				seen[p] = true
				if err := addFile(c, p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// parents returns the directories above a path, the highest first.
func parents(path string) (list []string) {
	for dir := filepath.Dir(path); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		list = append([]string{dir}, list...)
	}
	return list
}

func addFile(c *cpioWriter, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	name, mode := strings.TrimPrefix(path, "/"), int(info.Mode().Perm())
	switch {
	case info.IsDir():
		c.add(name, 0o040000|mode, nil)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		c.add(name, 0o120777, []byte(target))
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		c.add(name, 0o100000|mode, data)
	}
	return nil
}

// installed returns the files of packages of the running system, of all that these depend on, and
// of those that every Debian has.
func installed(ctx context.Context, packages ...string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Package}\t${Pre-Depends}, ${Depends}\t${Provides}\t${Essential}\n").Output()
	if err != nil {
		return nil, fmt.Errorf("qemutest: dpkg-query: %w", err)
	}
	depends, provider, wanted := map[string]string{}, map[string]string{}, slices.Clone(packages)
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		depends[fields[0]], provider[fields[0]] = fields[1], fields[0]
		if fields[3] == "yes" {
			wanted = append(wanted, fields[0])
		}
		for virtual := range strings.SplitSeq(fields[2], ",") {
			if name := packageName(virtual); name != "" && provider[name] == "" {
				provider[name] = fields[0]
			}
		}
	}
	closure := map[string]bool{}
	for len(wanted) > 0 {
		name := provider[wanted[0]]
		if name == "" && slices.Contains(packages, wanted[0]) {
			return nil, fmt.Errorf("qemutest: %s is not installed; install it", wanted[0])
		}
		wanted = wanted[1:]
		if name == "" || closure[name] {
			continue
		}
		closure[name] = true
		for choice := range strings.SplitSeq(depends[name], ",") {
			for one := range strings.SplitSeq(choice, "|") {
				if one = packageName(one); provider[one] != "" {
					wanted = append(wanted, one)
					break
				}
			}
		}
	}
	args := []string{"-L"}
	for name := range closure {
		args = append(args, name)
	}
	out, err = exec.CommandContext(ctx, "dpkg-query", args...).Output()
	return slices.DeleteFunc(strings.Split(string(out), "\n"), func(f string) bool { return f == "" || f == "/." }), err
}

// packageName takes the name out of a dependency such as "libc6:any (>= 2.36)".
func packageName(dependency string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(dependency), " ")
	name, _, _ = strings.Cut(name, ":")
	return name
}
