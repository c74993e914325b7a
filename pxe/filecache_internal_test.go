package pxe

import (
	"fmt"
	"io"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// Memory holds the current version of a file, no more than its bound, and no file without a time: a
// new version of it could not be recognized.
func TestFileCache(t *testing.T) { synctest.Test(t, testFileCache) }

func testFileCache(t *testing.T) {
	var h fileCache
	files := fstest.MapFS{"f": {Data: []byte("one"), ModTime: time.Unix(1, 0)}, "timeless": {Data: []byte("x")}}
	read := func(name string, limit int64) (string, bool) {
		t.Helper()
		c, err := h.open(files, cacheName{name: name}, limit)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		_, inMemory := c.ReadCloser.(textFile)
		return string(text), inMemory
	}
	for range 2 {
		if text, kept := read("f", 100); text != "one" || !kept {
			t.Errorf("%q, kept %t", text, kept)
		}
	}
	if text, kept := read("f", 2); text != "one" || kept {
		t.Errorf("above the limit: %q, kept %t", text, kept)
	}
	files["f"] = &fstest.MapFile{Data: []byte("two"), ModTime: time.Unix(2, 0)}
	time.Sleep(cacheFresh)
	if text, _ := read("f", 100); text != "two" {
		t.Errorf("changed: %q", text)
	}
	if text, kept := read("timeless", 100); text != "x" || kept {
		t.Errorf("without a time: %q, kept %t", text, kept)
	}
	time.Sleep(cacheFresh)
	if text, kept := read("f", 100); text != "two" || !kept {
		t.Errorf("looked at again: %q, kept %t", text, kept)
	}
	delete(files, "f")
	time.Sleep(cacheFresh)
	if _, err := h.open(files, cacheName{name: "f"}, 100); err == nil {
		t.Error("a deleted file is still served")
	}
	for i := range 20 {
		files[fmt.Sprint(i)] = &fstest.MapFile{Data: make([]byte, cacheTFTP), ModTime: time.Unix(1, 0)}
		read(fmt.Sprint(i), cacheTFTP)
		if h.bytes > cacheTotal || len(h.files) != len(h.order) {
			t.Fatalf("%d bytes in %d files, %d in order", h.bytes, len(h.files), len(h.order))
		}
	}
}
