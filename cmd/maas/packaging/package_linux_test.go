package packaging_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// The package is installed into a copy of this host that is thrown away, looked at, removed and purged.
const inCopy = `
set -e
mount -t tmpfs t "$1"
mkdir "$1"/upper "$1"/work "$1"/root
mount -t overlay overlay -o lowerdir=/,upperdir="$1"/upper,workdir="$1"/work "$1"/root
cp "$2" "$1"/root/maas.deb
mount -t proc proc "$1"/root/proc
chroot "$1"/root /bin/sh -ec '
	rm -rf /run/systemd/system
	dpkg --install /maas.deb
	echo "--- installed"
	maas version
	stat -c "%A %U %G %n" /usr/bin/maas /etc/maas/maas.yaml /var/lib/maas
	maas config check /etc/maas/maas.yaml
	gzip -t /usr/share/man/man1/maas.1.gz
	for unit in maas.service maas-region.service maas-region.socket maas-rack.service; do
		systemd-analyze verify --man=no /usr/lib/systemd/system/$unit
	done
	touch /var/lib/maas/maas.db
	echo "--- upgraded"
	mkdir -p /run/systemd/system
	printf "#!/bin/sh\necho systemctl \$*\n" >/usr/local/bin/systemctl
	chmod 755 /usr/local/bin/systemctl
	dpkg --install /maas.deb | grep ^systemctl
	rm -rf /run/systemd/system /usr/local/bin/systemctl
	dpkg --remove maas
	echo "--- removed"
	ls /usr/bin/maas 2>/dev/null || true
	ls /var/lib/maas /etc/maas
	dpkg --purge maas
	echo "--- purged"
	for left in /etc/maas /var/lib/maas /usr/lib/systemd/system/maas.service /usr/share/doc/maas; do
		if [ -e $left ]; then echo "left: $left"; fi
	done
	getent passwd maas || true
'
`

func TestPackage(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dpkg-deb", "dpkg"), netlab.Program("systemd-analyze", "systemd"))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, name, args...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s%s", name, err, out, stderr.String())
		}
		return string(out)
	}
	dir := t.TempDir()
	deb := strings.TrimSpace(run("./build.sh", "0.0.1~test", dir))
	if info := run("dpkg-deb", "--info", deb); !strings.Contains(info, "Version: 0.0.1~test") {
		t.Errorf("the package says of itself:\n%s", info)
	}
	mount := filepath.Join(dir, "copy")
	if err := os.Mkdir(mount, 0o700); err != nil {
		t.Fatal(err)
	}
	out := run("unshare", "--mount", "sh", "-c", inCopy, "sh", mount, deb)
	want := `--- installed
maas 0.0.1~test
-rwxr-xr-x root root /usr/bin/maas
-rw-r----- root maas /etc/maas/maas.yaml
drwx------ maas maas /var/lib/maas
/etc/maas/maas.yaml is fine
`
	if !strings.Contains(out, want) {
		t.Errorf("installed:\n%s\nwant\n%s", out, want)
	}
	_, upgraded, _ := strings.Cut(out, "--- upgraded\n")
	if want := "systemctl daemon-reload\nsystemctl try-restart maas.service maas-region.service maas-rack.service\n"; !strings.Contains(upgraded, want) {
		t.Errorf("upgraded:\n%s\nwant\n%s", upgraded, want)
	}
	_, removed, _ := strings.Cut(out, "--- removed\n")
	removed, purged, _ := strings.Cut(removed, "--- purged\n")
	if !strings.HasPrefix(removed, "/etc/maas:\nmaas.yaml\n\n/var/lib/maas:\nmaas.db\n") {
		t.Errorf("removed, but the site's data and configuration stay:\n%s", removed)
	}
	if purged != "" {
		t.Errorf("left after a purge:\n%s", purged)
	}
}
