package region

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gomaas/maas/discovery/oui"
)

// vendorDir is where Debian's package ieee-data keeps the register of vendors.
const vendorDir = "/usr/share/ieee-data"

// vendors names who made network cards: by the register of the host while that is there, else by the one that is built in.
type vendors struct {
	dir   string
	log   *slog.Logger
	mu    sync.RWMutex // guards following
	table *oui.Table
	of    time.Time // when the register was written; zero = built in
}

func newVendors(dir string, log *slog.Logger) *vendors {
	v := &vendors{dir: dir, log: log, table: oui.Default()}
	v.refresh()
	return v
}

// refresh reads the register again when it has changed. One that cannot be read leaves the last.
func (v *vendors) refresh() {
	info, err := os.Stat(filepath.Join(v.dir, oui.Files[0]))
	v.mu.RLock()
	same := err == nil && info.ModTime().Equal(v.of)
	v.mu.RUnlock()
	if err != nil || same {
		return
	}
	table, err := oui.Load(os.DirFS(v.dir))
	v.mu.Lock()
	defer v.mu.Unlock()
	v.of = info.ModTime()
	if err != nil {
		v.log.Warn("register of vendors not readable", "directory", v.dir, "err", err)
		return
	}
	v.table = table
}

func (v *vendors) lookup(mac []byte) string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.table.Lookup(mac)
}
