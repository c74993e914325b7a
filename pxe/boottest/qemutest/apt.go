//go:build linux

package qemutest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kernelPackages begins the names of packages that depend on a processor's current kernel for
// virtual machines.
const kernelPackages = "linux-image-"

// Unpacked returns a directory in which packages of another processor, such as "arm64", are
// unpacked: from the cache, or downloaded there without the system's apt knowing of that processor.
// It skips the test when neither can be done.
func Unpacked(t testing.TB, arch string, packages ...string) string {
	t.Helper()
	cache, err := CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(cache, strings.Join(append([]string{arch}, packages...), "+"))
	if _, err = os.Stat(store); err == nil {
		return store
	}
	if err = unpackForeign(t.Context(), arch, packages, store); err != nil {
		cannot(t, fmt.Errorf("qemutest: packages of %s: %w", arch, err))
	}
	return store
}

func unpackForeign(ctx context.Context, arch string, packages []string, store string) error {
	tmp, err := os.MkdirTemp("", "qemutest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	a, err := foreign(ctx, arch, tmp)
	if err != nil {
		return err
	}
	debs, err := a.download(ctx, tmp, packages...)
	if err != nil {
		return err
	}
	root := filepath.Join(tmp, "root")
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg-deb -x %s: %w: %s", deb, err, out)
		}
	}
	return install(root, store)
}

// apt is the options that make apt another processor's; none means this one's.
type apt struct{ options []string }

// newer are the sources of processors that Debian 12 does not have.
var newer = map[string]string{
	"riscv64": "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main\n",
}

// foreign has apt read the lists of another processor into a directory.
func foreign(ctx context.Context, arch, dir string) (apt, error) {
	for _, d := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return apt{}, err
		}
	}
	a := apt{[]string{"-qq"}}
	for name, value := range map[string]string{
		"Dir::State": filepath.Join(dir, "state"), "Dir::State::status": "/dev/null", "Dir::Cache": filepath.Join(dir, "cache"),
		"APT::Architecture": arch, "APT::Architectures": arch, "APT::Sandbox::User": "root", "Acquire::Languages": "none",
	} {
		a.options = append(a.options, "-o", name+"="+value)
	}
	if sources, ok := newer[arch]; ok {
		list := filepath.Join(dir, "sources.list")
		if err := os.WriteFile(list, []byte(sources), 0o644); err != nil {
			return apt{}, err
		}
		a.options = append(a.options, "-o", "Dir::Etc::sourcelist="+list, "-o", "Dir::Etc::sourceparts=/dev/null")
	}
	_, err := a.run(ctx, dir, "apt-get", "update")
	return a, err
}

func (a apt) run(ctx context.Context, dir, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, append(append([]string{}, a.options...), args...)...)
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, said.String())
	}
	return out, err
}

// download fetches packages into a directory. A package that stands for the current kernel is
// replaced by that kernel's.
func (a apt) download(ctx context.Context, dir string, packages ...string) (debs []string, err error) {
	names := append([]string{"download"}, packages...)
	for i, name := range names {
		if strings.HasPrefix(name, kernelPackages) {
			if names[i], err = a.kernel(ctx, dir, name); err != nil {
				return nil, err
			}
		}
	}
	if _, err := a.run(ctx, dir, "apt-get", names...); err != nil {
		return nil, err
	}
	debs, err = filepath.Glob(filepath.Join(dir, "*.deb"))
	if len(debs) != len(packages) {
		return nil, fmt.Errorf("apt-get %s left %d packages", strings.Join(names, " "), len(debs))
	}
	return debs, err
}

// kernel returns the package that a meta package stands for today.
func (a apt) kernel(ctx context.Context, dir, meta string) (string, error) {
	out, err := a.run(ctx, dir, "apt-cache", "depends", meta)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s depends on no kernel; run apt-get update", meta)
}
