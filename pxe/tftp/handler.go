package tftp

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Handler opens files for requests. It is called once a transfer, from the transfer's own
// goroutine, and may block until ctx ends. The error decides the ERROR packet: fs.ErrNotExist is
// code 1, fs.ErrPermission code 2, an *Error is sent as it is, anything else code 0.
type Handler interface {
	Open(ctx context.Context, r *Request) (File, error)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, r *Request) (File, error)

// Open calls f.
func (f HandlerFunc) Open(ctx context.Context, r *Request) (File, error) { return f(ctx, r) }

// File is an opened file: a stream that is read once, from its start, in large reads, and closed at
// the end of the transfer when it is an io.Closer.
type File struct {
	io.Reader
	// Size in bytes answers the option tsize; negative when unknown, and then tsize is left out of
	// the answer.
	Size int64
	// Events receives the ended transfer in the place of Config.Events, so that what a handler
	// learned in Open needs no way through the transfer. It is used even when Open also returns an
	// error. Nil means Config.Events.
	Events func(Transfer)
}

// Close closes the reader when it can be closed.
func (f File) Close() error {
	if c, ok := f.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// String returns a File that holds text.
func String(text string) File {
	return File{Reader: strings.NewReader(text), Size: int64(len(text))}
}

// FS serves the files of fsys. Names are cleaned as CleanPath does, so that none leaves the root.
func FS(fsys fs.FS) Handler {
	return HandlerFunc(func(_ context.Context, r *Request) (File, error) {
		if fsys == nil {
			return File{}, errors.New("tftp: FS has no file system")
		}
		name, ok := CleanPath(r.Name)
		if !ok {
			return File{}, fs.ErrNotExist
		}
		return OpenFS(fsys, name)
	})
}

// OpenFS opens one file of fsys. A directory is fs.ErrNotExist.
func OpenFS(fsys fs.FS, name string) (File, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return File{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		f.Close()
		return File{}, err
	}
	return File{Reader: f, Size: info.Size()}, nil
}

// CleanPath turns the name a client sent into a path valid for fs.FS: firmware sends backslashes,
// doubled and leading slashes. It reports false for a name that is empty, holds control characters,
// or climbs with "..".
func CleanPath(name string) (string, bool) {
	if len(name) > 1024 {
		return "", false
	}
	for i := range len(name) {
		if name[i] < 0x20 || name[i] == 0x7f {
			return "", false
		}
	}
	name = strings.ReplaceAll(name, `\`, "/")
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", false
		}
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	return name, name != "" && fs.ValidPath(name)
}
