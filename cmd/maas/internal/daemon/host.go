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
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/pxe"
)

// allLinks in the place of names means every interface that suits.
const allLinks = "all"

// chooseLinks looks at the named interfaces, separated by commas, at all that have an IPv4 address
// or, without names, at the only one that has.
func chooseLinks(names string) ([]rack.Link, error) {
	if names != "" && names != allLinks {
		var out []rack.Link
		for _, name := range strings.Split(names, ",") {
			link, err := rack.FindLink(strings.TrimSpace(name))
			if err != nil {
				return nil, err
			}
			out = append(out, link)
		}
		return out, nil
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var found []rack.Link
	var suit []string
	for _, ifi := range all {
		if ifi.Flags&net.FlagLoopback != 0 || ifi.Flags&net.FlagUp == 0 {
			continue
		}
		if link, err := rack.FindLink(ifi.Name); err == nil {
			found, suit = append(found, link), append(suit, ifi.Name)
		}
	}
	switch {
	case len(found) == 0:
		return nil, errors.New("no interface has an IPv4 address; name one with --interface after giving it an address")
	case len(found) > 1 && names != allLinks:
		return nil, fmt.Errorf("several interfaces have an IPv4 address; choose of %s with --interface, or all", strings.Join(suit, ","))
	}
	return found, nil
}

// linkNames lists names of interfaces.
func linkNames(links []rack.Link) []string {
	var out []string
	for _, l := range links {
		out = append(out, l.Name)
	}
	return out
}

// lockFile is the file in the data directory that a daemon locks.
const lockFile = "lock"

// chooseData returns the data directory: the given one, or the standard one. A site whose data are
// in the former standard directory must not come up empty.
func chooseData(given, standard, former string) (string, error) {
	if given != "" {
		return given, nil
	}
	if hasSite(former) && !hasSite(standard) {
		return "", fmt.Errorf("data directory: %s has the data of a site and %s has none; move them there, or give the directory with --data", former, standard)
	}
	return standard, nil
}

// hasSite reports whether a directory has the data of a region or of a rack.
func hasSite(dir string) bool {
	for _, name := range []string{region.DatabaseFile, filepath.Base(rackDir(dir))} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// LockData makes the data directory and keeps daemons out of it until unlock.
func LockData(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; choose another with --data", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w; it must be writable for the daemon, or choose another with --data", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("data directory %s: another maas daemon is using it; stop that one, or choose another directory with --data", dir)
	}
	return func() { f.Close() }, nil
}

// chooseLoaders returns the boot loaders of a directory, or nil for those of Debian's packages.
func chooseLoaders(dir string) fs.FS {
	if dir == "" {
		return pxe.DebianLoaders()
	}
	return pxe.Loaders(dir)
}

// warnLoaders says which boot loaders are missing and where they come from. Machines that need none
// boot all the same.
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

// hostResolvers reads the resolvers of the host, without those that are this daemon or would be
// asked for ever in a circle.
func hostResolvers(file string, links []rack.Link) []string {
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
		own := slices.ContainsFunc(links, func(l rack.Link) bool {
			return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Addr() == addr })
		})
		if err == nil && !own {
			servers = append(servers, addr.String())
		}
	}
	return servers
}
