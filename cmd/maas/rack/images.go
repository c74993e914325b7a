package rack

import (
	"errors"
	"io/fs"
	"net/http"
	"net/netip"
	"path/filepath"
	"syscall"

	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/rpc/imagesrpc"
)

// openImages opens the cache of boot files and adds the path at which other racks read it. A disk
// that fails leaves the files of this host.
func (r *Rack) openImages(also map[string]http.Handler) {
	log := r.log.With("component", "images")
	neighbors := &imagesrpc.Neighbors{Addrs: func() []netip.Addr { return *r.neighbors.Load() }, Port: r.cfg.HTTPPort, Client: r.toRacks}
	r.neighbors.Store(new([]netip.Addr))
	if neighbors.Port == 0 {
		neighbors.Port = firmware.DefaultHTTPPort
	}
	// Neighbors go first: the region may be far, and serves all racks.
	suppliers := []images.Supplier{neighbors.Piece, imagesrpc.FromRegion(&r.region)}
	cache, err := images.OpenCache(images.CacheConfig{
		Dir: filepath.Join(r.cfg.Dir, "images"), Limit: r.cfg.ImageCache, Suppliers: func() []images.Supplier { return suppliers }, Log: log,
	})
	if err != nil {
		log.Error("boot files of the region disabled", "err", err)
		return
	}
	r.images = cache
	also[imagesrpc.Pattern] = imagesrpc.Handler(cache.Piece)
}

// bootFiles returns the boot files of this host, and behind them those of the region.
func (r *Rack) bootFiles() fs.FS {
	var all layers
	if r.cfg.Files != nil {
		all = append(all, r.cfg.Files)
	}
	if r.images != nil {
		all = append(all, r.images)
	}
	return all
}

// layers opens a file in the first file system that has it.
type layers []fs.FS

// Open implements fs.FS.
func (l layers) Open(name string) (fs.File, error) {
	for _, fsys := range l {
		if f, err := fsys.Open(name); !absent(err) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// Stat implements fs.StatFS, without which a look at a file would fetch it.
func (l layers) Stat(name string) (fs.FileInfo, error) {
	for _, fsys := range l {
		if info, err := fs.Stat(fsys, name); !absent(err) {
			return info, err
		}
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

// absent reports whether a file does not exist. ENOTDIR is what a directory of the host answers for
// a name below a file.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// useImages serves other images.
func (r *Rack) useImages(x *images.Index, neighbors []netip.Addr) error {
	if r.images == nil {
		return nil
	}
	r.neighbors.Store(&neighbors)
	// They are served although the list cannot be stored, and Report shows the error.
	_ = r.disk.note(writesImages, r.images.Use(x, r.table.Files()))
	return nil
}

// pinFiles keeps what profiles name.
func (r *Rack) pinFiles() {
	if r.images != nil {
		r.images.Pin(r.table.Files())
	}
}
