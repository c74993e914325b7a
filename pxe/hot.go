package pxe

import (
	"bytes"
	"io"
	"io/fs"
	"sync"
	"time"
)

// Bounds of hot, in bytes.
const (
	hotTotal = 64 << 20 // of all files kept
	hotTFTP  = 8 << 20  // of one that goes out by TFTP: loaders, which a whole rack reads at once
	hotWeb   = 64 << 10 // of one that goes out by HTTP: larger ones are sent by the kernel
)

// hotFresh is how long a file in memory is not looked at again on disk.
const hotFresh = 100 * time.Millisecond

// hot keeps small files in memory once, however many clients read them. What it
// has is used only while the file has the same size and time of change, or had
// them less than hotFresh ago. The zero value is empty and ready.
type hot struct {
	mu    sync.Mutex
	files map[hotName]hotFile
	order []hotName // the oldest first
	bytes int64
}

type hotName struct {
	loader bool
	name   string
}

type hotFile struct {
	data    []byte
	modTime time.Time
	seen    time.Time // when the disk was asked
}

// open opens a file of fsys, from memory when it has no more than limit bytes.
func (h *hot) open(fsys fs.FS, id hotName, limit int64) (content, error) {
	h.mu.Lock()
	f, known := h.files[id]
	h.mu.Unlock()
	now := time.Now()
	if known && int64(len(f.data)) <= limit {
		if now.Sub(f.seen) < hotFresh {
			return f.content(), nil
		}
		info, err := fs.Stat(fsys, id.name)
		if err == nil && info.Mode().IsRegular() && info.Size() == int64(len(f.data)) && info.ModTime().Equal(f.modTime) {
			f.seen = now
			h.refresh(id, f)
			return f.content(), nil
		}
	}
	c, err := openFile(fsys, id.name)
	// Files without a time cannot be told from their successors.
	if err != nil || c.size > limit || c.modTime.IsZero() {
		return c, err
	}
	data := make([]byte, c.size)
	_, err = io.ReadFull(c, data)
	c.Close()
	if err != nil {
		return content{}, &fs.PathError{Op: "read", Path: id.name, Err: err}
	}
	f = hotFile{data, c.modTime, now}
	h.keep(id, f)
	return f.content(), nil
}

// refresh notes that a file was looked at, if it is still kept.
func (h *hot) refresh(id hotName, f hotFile) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old, ok := h.files[id]; ok && old.modTime.Equal(f.modTime) && len(old.data) == len(f.data) {
		h.files[id] = f
	}
}

// keep takes a file in and drops the oldest until all fit.
func (h *hot) keep(id hotName, f hotFile) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.files == nil {
		h.files = make(map[hotName]hotFile)
	}
	if old, ok := h.files[id]; ok {
		h.bytes -= int64(len(old.data)) + hotCost
	} else {
		h.order = append(h.order, id)
	}
	h.files[id] = f
	h.bytes += int64(len(f.data)) + hotCost
	for h.bytes > hotTotal {
		oldest := h.order[0]
		h.bytes -= int64(len(h.files[oldest].data)) + hotCost
		delete(h.files, oldest)
		h.order = h.order[1:]
	}
}

// hotCost is what an entry takes beside its data, so that empty files count, too.
const hotCost = 512

func (f hotFile) content() content {
	return content{ReadCloser: textFile{bytes.NewReader(f.data)}, size: int64(len(f.data)), modTime: f.modTime}
}
