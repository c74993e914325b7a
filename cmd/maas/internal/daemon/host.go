package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/rack"
	"github.com/gomaas/maas/pxe"
)

// chooseLink looks at the named interface or, without a name, at the only one that has an IPv4 address.
func chooseLink(name string) (rack.Link, error) {
	if name != "" {
		return rack.FindLink(name)
	}
	all, err := net.Interfaces()
	if err != nil {
		return rack.Link{}, err
	}
	var found []rack.Link
	var names []string
	for _, ifi := range all {
		if ifi.Flags&net.FlagLoopback != 0 || ifi.Flags&net.FlagUp == 0 {
			continue
		}
		if link, err := rack.FindLink(ifi.Name); err == nil {
			found, names = append(found, link), append(names, ifi.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return rack.Link{}, errors.New("no interface has an IPv4 address; name one with --interface after giving it an address")
	}
	return rack.Link{}, fmt.Errorf("several interfaces have an IPv4 address; choose one of %s with --interface", strings.Join(names, ", "))
}

// lockData makes the data directory and keeps other daemons out of it until unlock.
func lockData(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; choose another with --data", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w; it must be writable for the daemon, or choose another with --data", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("data directory %s: another maas daemon is using it; stop that one, or choose another directory with --data", dir)
	}
	return func() { f.Close() }, nil
}

// bootFiles are the files of the default profile and the profile itself, nil without a kernel.
func bootFiles(cfg config.Boot) (fs.FS, *pxe.Profile, error) {
	files := pxe.FileMap{}
	if cfg.Kernel == "" {
		return files, nil, nil
	}
	add := func(file string) (name string) {
		name = path.Join("default", filepath.Base(file))
		for n := 2; files[name] != ""; n++ {
			name = path.Join("default", fmt.Sprintf("%d-%s", n, filepath.Base(file)))
		}
		files[name] = file
		return name
	}
	profile := &pxe.Profile{Name: "default", Kernel: add(cfg.Kernel), Cmdline: cfg.Cmdline}
	for _, initrd := range cfg.Initrd {
		profile.Initrd = append(profile.Initrd, add(initrd))
	}
	if err := files.Check(); err != nil {
		return nil, nil, fmt.Errorf("boot files: %w", err)
	}
	return files, profile, profile.Validate()
}

func chooseLoaders(dir string) fs.FS {
	if dir == "" {
		return pxe.DebianLoaders()
	}
	return pxe.Loaders(dir)
}

// warnLoaders says which boot loaders are missing and where they come from. Machines that need none boot all the same.
func warnLoaders(log *slog.Logger, loaders fs.FS) {
	for _, name := range []string{"undionly.kpxe", "shimx64.efi", "grubx64.efi"} {
		f, err := loaders.Open(name)
		if err != nil {
			log.Warn("boot loader missing", "loader", name, "err", err)
			continue
		}
		f.Close()
	}
}

// hostResolvers reads the resolvers of the host, without those that are this daemon or would be asked for ever in a circle.
func hostResolvers(file string, link rack.Link) []string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var servers []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		addr, err := netip.ParseAddr(words[1])
		own := slices.ContainsFunc(link.Prefixes, func(p netip.Prefix) bool { return p.Addr() == addr })
		if err == nil && !own {
			servers = append(servers, addr.String())
		}
	}
	return servers
}
