package tftp

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
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

// FS serves the files of fsys by the first of Names that exists, so that none leaves the root.
func FS(fsys fs.FS) Handler {
	return HandlerFunc(func(_ context.Context, r *Request) (File, error) {
		if fsys == nil {
			return File{}, errors.New("tftp: FS has no file system")
		}
		err := fs.ErrNotExist
		for _, name := range Names(r.Name) {
			var f File
			if f, err = OpenFS(fsys, name); !errors.Is(err, fs.ErrNotExist) {
				return f, err
			}
		}
		return File{}, err
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

// Names returns the paths that a client may have meant by a name, likeliest first, each as
// CleanPath makes it; none when the name is no path. Old PXE ROMs take option 67 of DHCP for a
// string that ends with a zero, and ask for the file name with the options behind it: 0xFF, the end
// of all options, or the code and the length of the next one. So a name ends before the first octet
// that is no text, or one octet earlier, where that may be the code.
func Names(name string) []string {
	if clean, ok := CleanPath(name); ok {
		return []string{clean}
	}
	if len(name) > maxName {
		return nil
	}
	end := 0
	for end < len(name) {
		r, size := utf8.DecodeRuneInString(name[end:])
		if r == utf8.RuneError && size == 1 || isControl(r) {
			break
		}
		end += size
	}
	if end == len(name) {
		return nil // it is all text, so nothing that could be left out makes it a path
	}
	var names []string
	cuts := []int{end}
	if isControl(rune(name[end])) { // the length of an option, with the option's code before it
		_, size := utf8.DecodeLastRuneInString(name[:end])
		cuts = append(cuts, end-size)
	}
	for _, cut := range cuts {
		if clean, ok := CleanPath(name[:cut]); ok {
			names = append(names, clean)
		}
	}
	return names
}

// maxName is the length up to which a name is looked at, in octets.
const maxName = 1024

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// CleanPath turns the name a client sent into a path valid for fs.FS: firmware sends backslashes,
// doubled and leading slashes. It reports false for a name that is empty, holds control characters,
// or climbs with "..".
func CleanPath(name string) (string, bool) {
	if len(name) > maxName {
		return "", false
	}
	if strings.ContainsFunc(name, isControl) {
		return "", false
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
