package packaging_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// In a copy of this host that is thrown away: the overlay's upper directory is a tmpfs.
const inCopy = `
set -e
mount -t tmpfs t "$1"
mkdir "$1"/upper "$1"/work "$1"/root
mount -t overlay overlay -o lowerdir=/,upperdir="$1"/upper,workdir="$1"/work "$1"/root
cp "$2"/* "$1"/root/tmp
mount -t proc proc "$1"/root/proc
chroot "$1"/root /bin/sh -ec "$3"
`

// The package is installed, looked at, upgraded, removed and purged.
const install = `
	rm -rf /run/systemd/system
	dpkg --install /tmp/gomaas_*.deb
	echo "--- installed"
	maas version
	stat -c "%A %U %G %n" /usr/bin/maas /etc/gomaas/maas.yaml /var/lib/gomaas
	maas config check /etc/gomaas/maas.yaml
	gzip -t /usr/share/man/man1/maas.1.gz
	bash -n /usr/share/bash-completion/completions/maas
	for unit in gomaas.service gomaas-region.service gomaas-region.socket gomaas-rack.service; do
		systemd-analyze verify --man=no /usr/lib/systemd/system/$unit
	done
	touch /var/lib/gomaas/maas.db
	echo "--- upgraded"
	mkdir -p /run/systemd/system
	printf "#!/bin/sh\necho systemctl \$*\n" >/usr/local/bin/systemctl
	chmod 755 /usr/local/bin/systemctl
	dpkg --install /tmp/gomaas_*.deb | grep ^systemctl
	rm -rf /run/systemd/system /usr/local/bin/systemctl
	dpkg --remove gomaas
	echo "--- removed"
	ls /usr/bin/maas 2>/dev/null || true
	ls /var/lib/gomaas /etc/gomaas
	dpkg --purge gomaas
	echo "--- purged"
	for left in /etc/gomaas /var/lib/gomaas /usr/lib/systemd/system/gomaas.service /usr/share/doc/gomaas; do
		if [ -e $left ]; then echo "left: $left"; fi
	done
	getent passwd gomaas || true
`

// The former package, named maas, gives way: its site and its configuration are taken over. A
// package of Canonical, whose versions have an epoch, stays with all that it has. Both are simulated
// by a package with a configuration alone.
const takeOver = `
	rm -rf /run/systemd/system
	mkdir -p /tmp/former/DEBIAN /tmp/former/etc/maas
	printf "Package: maas\nVersion: VERSION\nArchitecture: all\nMaintainer: test\nDescription: test\n" >/tmp/former/DEBIAN/control
	echo /etc/maas/maas.yaml >/tmp/former/DEBIAN/conffiles
	printf "data: /var/lib/maas\ninterface: eth7\n" >/tmp/former/etc/maas/maas.yaml
	dpkg-deb --build /tmp/former /tmp/former.deb >/dev/null
	dpkg --install /tmp/former.deb
	mkdir -p /var/lib/maas
	touch /var/lib/maas/maas.db /var/lib/maas/secret.key
	dpkg --install /tmp/gomaas_*.deb
	echo "--- taken"
	find /var/lib/gomaas -type f -printf "%u %p\\n" | sort
	grep "^[a-z]" /etc/gomaas/maas.yaml || true
	dpkg-query --show --showformat "\${db:Status-Status}\n" maas
`

func build(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "./build.sh", "0.0.1~test", dir)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	output(t, cmd)
}

// output returns what a program prints, and ends the test if it fails.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, stderr.String())
	}
	return string(out)
}

// Everything of a release is made once, and looked at by the programs that people have.
func TestRelease(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dpkg-deb", "dpkg"), netlab.Program("systemd-analyze", "systemd"), netlab.Program("skopeo", "skopeo"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	build(t, dir)
	const base = "gomaas-0.0.1~test"
	run := func(t *testing.T, name string, args ...string) string {
		t.Helper()
		return output(t, exec.CommandContext(ctx, name, args...))
	}
	inCopy := func(t *testing.T, script string) string {
		t.Helper()
		mount := t.TempDir()
		return run(t, "unshare", "--mount", "sh", "-c", inCopy, "sh", mount, dir, script)
	}
	t.Run("package", func(t *testing.T) { testPackage(t, inCopy(t, install)) })
	for name, c := range map[string]struct{ version, want string }{
		"former package":      {"0.0.1", "gomaas /var/lib/gomaas/maas.db\ngomaas /var/lib/gomaas/secret.key\ndata: /var/lib/gomaas\ninterface: eth7\nconfig-files\n"},
		"Canonical's package": {"1:3.5.2-1", "installed\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out := inCopy(t, strings.Replace(takeOver, "VERSION", c.version, 1))
			if _, taken, _ := strings.Cut(out, "--- taken\n"); taken != c.want {
				t.Errorf("got:\n%s\nwant:\n%s\nall:\n%s", taken, c.want, out)
			}
		})
	}
	t.Run("archive", func(t *testing.T) {
		into := t.TempDir()
		run(t, "tar", "--extract", "--file", filepath.Join(dir, base+"-linux-amd64.tar.gz"), "--directory", into)
		root := filepath.Join(into, base+"-linux-amd64")
		if out := run(t, filepath.Join(root, "maas"), "version"); out != "maas 0.0.1~test\n" {
			t.Errorf("the program of the archive says %q", out)
		}
		for _, name := range []string{"README.md", "LICENSE", "maas.yaml", "maas.1.gz", "completion/_maas", "units/gomaas.service"} {
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("image", func(t *testing.T) { testImage(t, run, filepath.Join(dir, base+"-oci.tar")) })
	t.Run("bill of materials", func(t *testing.T) {
		var bill struct {
			Format     string `json:"bomFormat"`
			Components []struct{ Name, Version string }
		}
		text, err := os.ReadFile(filepath.Join(dir, base+"-linux-amd64.cdx.json"))
		if err == nil {
			err = json.Unmarshal(text, &bill)
		}
		if err != nil || bill.Format != "CycloneDX" {
			t.Fatalf("%v: %.200s", err, text)
		}
		found := map[string]bool{}
		for _, c := range bill.Components {
			found[c.Name] = c.Version != ""
		}
		for _, name := range []string{"modernc.org/sqlite", "github.com/miekg/dns", "github.com/insomniacslk/dhcp"} {
			if !found[name] {
				t.Errorf("%s is not in the bill of materials", name)
			}
		}
	})
	t.Run("same octets", func(t *testing.T) {
		again := t.TempDir()
		build(t, again)
		sums := func(dir string) string {
			text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		if first, second := sums(dir), sums(again); first != second || strings.Count(first, "\n") != 4 {
			t.Errorf("two builds of one source:\n%s\n%s", first, second)
		}
	})
}

func testPackage(t *testing.T, out string) {
	want := `--- installed
maas 0.0.1~test
-rwxr-xr-x root root /usr/bin/maas
-rw-r----- root gomaas /etc/gomaas/maas.yaml
drwx------ gomaas gomaas /var/lib/gomaas
/etc/gomaas/maas.yaml is fine
`
	if !strings.Contains(out, want) {
		t.Errorf("installed:\n%s\nwant\n%s", out, want)
	}
	_, upgraded, _ := strings.Cut(out, "--- upgraded\n")
	if want := "systemctl daemon-reload\nsystemctl try-restart gomaas.service gomaas-region.service gomaas-rack.service\n"; !strings.Contains(upgraded, want) {
		t.Errorf("upgraded:\n%s\nwant\n%s", upgraded, want)
	}
	_, removed, _ := strings.Cut(out, "--- removed\n")
	removed, purged, _ := strings.Cut(removed, "--- purged\n")
	if !strings.HasPrefix(removed, "/etc/gomaas:\nmaas.yaml\n\n/var/lib/gomaas:\nmaas.db\n") {
		t.Errorf("removed, but the site's data and configuration stay:\n%s", removed)
	}
	if purged != "" {
		t.Errorf("left after a purge:\n%s", purged)
	}
}

// testImage unpacks the image with a foreign reader, and runs its program as its user.
func testImage(t *testing.T, run func(*testing.T, string, ...string) string, archive string) {
	into := t.TempDir()
	run(t, "skopeo", "--insecure-policy", "copy", "--quiet", "oci-archive:"+archive, "dir:"+into)
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	var image struct {
		Config struct {
			User       string
			Entrypoint []string
		}
	}
	read(t, filepath.Join(into, "manifest.json"), &manifest)
	read(t, filepath.Join(into, strings.TrimPrefix(manifest.Config.Digest, "sha256:")), &image)
	if image.Config.User != "65532:65532" || len(manifest.Layers) != 1 {
		t.Errorf("the image's user is %q, and it has %d layers", image.Config.User, len(manifest.Layers))
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "tar", "--extract", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--file",
		filepath.Join(into, strings.TrimPrefix(manifest.Layers[0].Digest, "sha256:")), "--directory", root)
	if caps := run(t, "getcap", filepath.Join(root, "usr/bin/maas")); !strings.Contains(caps, "cap_net_bind_service,cap_net_raw=ep") {
		t.Errorf("capabilities: %s", caps)
	}
	if out := run(t, "chroot", append([]string{"--userspec=" + image.Config.User, root}, append(image.Config.Entrypoint, "version")...)...); out != "maas 0.0.1~test\n" {
		t.Errorf("the program of the image says %q", out)
	}
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", path, err))
	}
}
