package region

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gomaas/maas/discovery/oui"
)

// vendorDir holds the register of vendors in Debian's package ieee-data.
const vendorDir = "/usr/share/ieee-data"

// vendors names the vendors of network cards, by the host's register if it has one, which is newer
// than the built-in one.
type vendors struct {
	dir   string
	log   *slog.Logger
	mu    sync.RWMutex // guards the fields below
	table *oui.Table
	of    time.Time // modification time of the register's file; zero = built in
}

func newVendors(dir string, log *slog.Logger) *vendors {
	v := &vendors{dir: dir, log: log, table: oui.Default()}
	v.refresh()
	return v
}

// refresh reads the register again if its file has changed. If it cannot be read, the last table
// stays.
func (v *vendors) refresh() {
	info, err := os.Stat(filepath.Join(v.dir, oui.Files[0]))
	v.mu.RLock()
	// A package upgrade replaces the files; a stat is cheaper than to parse them.
	same := err == nil && info.ModTime().Equal(v.of)
	v.mu.RUnlock()
	if err != nil || same {
		return
	}
	table, err := oui.Load(os.DirFS(v.dir))
	v.mu.Lock()
	defer v.mu.Unlock()
	v.of = info.ModTime() // also of a file that is not readable: it is reported once
	if err != nil {
		v.log.Warn("register of vendors not readable", "directory", v.dir, "err", err)
		return
	}
	v.table = table
}

// lookup returns the vendor of a MAC; "" = unknown, or an address that was assigned locally.
func (v *vendors) lookup(mac []byte) string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.table.Lookup(mac)
}
