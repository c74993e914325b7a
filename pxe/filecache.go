package pxe

import (
	"bytes"
	"io"
	"io/fs"
	"sync"
	"time"
)

// Bounds of fileCache, in bytes.
const (
	cacheTotal = 64 << 20 // of all files kept
	cacheTFTP  = 8 << 20  // of one that goes out by TFTP: loaders, which a whole rack reads at once
	cacheHTTP  = 64 << 10 // of one that goes out by HTTP: larger ones are sent by the kernel
)

// cacheFresh is the time for which a file in memory is served without a look at the disk. A rack
// that is powered on at once reads the same loader hundreds of times in it.
const cacheFresh = 100 * time.Millisecond

// fileCache keeps small files in memory once, however many clients read them. What it has is used
// only while the file has the same size and time of change, or had them less than cacheFresh ago.
// The zero value is empty and ready.
type fileCache struct {
	mu    sync.Mutex
	files map[cacheName]cachedFile
	order []cacheName // the oldest first
	bytes int64
}

type cacheName struct {
	loader bool
	name   string
}

type cachedFile struct {
	data    []byte
	modTime time.Time
	seen    time.Time // when the disk was asked
}

// open opens a file of fsys, from memory when it has at most limit bytes.
func (c *fileCache) open(fsys fs.FS, id cacheName, limit int64) (content, error) {
	c.mu.Lock()
	f, known := c.files[id]
	c.mu.Unlock()
	now := time.Now()
	if known && int64(len(f.data)) <= limit {
		if now.Sub(f.seen) < cacheFresh {
			return f.content(), nil
		}
		info, err := fs.Stat(fsys, id.name)
		if err == nil && info.Mode().IsRegular() && info.Size() == int64(len(f.data)) && info.ModTime().Equal(f.modTime) {
			f.seen = now
			c.refresh(id, f)
			return f.content(), nil
		}
	}
	opened, err := openFile(fsys, id.name)
	// A change of a file without a time (embed.FS has none) could not be noticed.
	if err != nil || opened.size > limit || opened.modTime.IsZero() {
		return opened, err
	}
	data := make([]byte, opened.size)
	_, err = io.ReadFull(opened, data)
	opened.Close()
	if err != nil {
		return content{}, &fs.PathError{Op: "read", Path: id.name, Err: err}
	}
	f = cachedFile{data, opened.modTime, now}
	c.keep(id, f)
	return f.content(), nil
}

// refresh notes that a file was looked at, if it is still kept.
func (c *fileCache) refresh(id cacheName, f cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.files[id]; ok && old.modTime.Equal(f.modTime) && len(old.data) == len(f.data) {
		c.files[id] = f
	}
}

// keep takes a file in and drops the oldest until all fit.
func (c *fileCache) keep(id cacheName, f cachedFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = make(map[cacheName]cachedFile)
	}
	if old, ok := c.files[id]; ok {
		c.bytes -= int64(len(old.data)) + cacheCost
	} else {
		c.order = append(c.order, id)
	}
	c.files[id] = f
	c.bytes += int64(len(f.data)) + cacheCost
	for c.bytes > cacheTotal {
		oldest := c.order[0]
		c.bytes -= int64(len(c.files[oldest].data)) + cacheCost
		delete(c.files, oldest)
		c.order = c.order[1:]
	}
}

// cacheCost is an entry's memory beside its data, so that empty files count, too.
const cacheCost = 512

func (f cachedFile) content() content {
	return content{ReadCloser: textFile{bytes.NewReader(f.data)}, size: int64(len(f.data)), modTime: f.modTime}
}
