package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static all:templates
var embedded embed.FS

// asset is a file that pages name, ready to be sent.
type asset struct {
	kind   string
	tag    string // of the content: it is part of the address, so that browsers keep the file
	plain  []byte
	packed []byte // by gzip
}

// loadAssets reads and packs the files once: they are the largest part of a first visit.
func loadAssets() (map[string]*asset, error) {
	files := map[string]*asset{}
	err := fs.WalkDir(embedded, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err = z.Write(data); err == nil {
			err = z.Close()
		}
		sum := sha256.Sum256(data)
		files[path.Base(name)] = &asset{mime.TypeByExtension(path.Ext(name)), hex.EncodeToString(sum[:6]), data, packed.Bytes()}
		return err
	})
	return files, err
}

// static sends a file.
func (c *Console) static(w http.ResponseWriter, r *http.Request) error {
	f := c.files[r.PathValue("file")]
	if f == nil {
		return &refusal{Status: http.StatusNotFound, Text: "There is no such file."}
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == f.tag { // the address changes with the content
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body := f.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.packed
	}
	_, _ = w.Write(body) // an error means that the client has gone
	return nil
}

// fileURL returns the address of a file for templates.
func (c *Console) fileURL(name string) string {
	if f := c.files[name]; f != nil {
		return c.base + "/static/" + name + "?v=" + f.tag
	}
	return ""
}
