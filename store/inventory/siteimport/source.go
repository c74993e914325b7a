package siteimport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a configuration with all files that it includes.
const (
	maxBytes      = 256 << 20
	maxFiles      = 1000
	maxStatements = 4 << 20
	maxDepth      = 32
	maxWord       = 16 << 10
	maxWords      = 4096 // of one statement
)

// source opens the files of a configuration within their bounds.
type source struct {
	fsys       fs.FS
	bytes      int
	files      int
	statements int
	tokens     int // of all files
}

// clean is the name of a file relative to the root of the file system.
func clean(name string) string { return path.Clean(strings.TrimPrefix(name, "/")) }

// from returns the name of a file that another one includes.
func from(file, name string) string {
	if !path.IsAbs(name) {
		name = path.Join(path.Dir(file), name)
	}
	return clean(name)
}

// read returns the text of a file. Configurations of all kinds are text; one with zero bytes is
// UTF-16 or no configuration, and one of another encoding would give garbled names.
func (s *source) read(name string) (string, error) {
	// Includes that name each other in a tree have no loop, and double with each level.
	if s.files++; s.files > maxFiles {
		return "", fmt.Errorf("%s: more than %d files are included; split the configuration", name, maxFiles)
	}
	f, err := s.fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(maxBytes-s.bytes)+1))
	if err != nil {
		return "", err
	}
	if s.bytes += len(data); s.bytes > maxBytes {
		return "", fmt.Errorf("%s: the configuration has more than %d MB; split it", name, maxBytes>>20)
	}
	// Editors of Windows begin UTF-8 with a mark.
	return string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))), nil
}

// text reads a file and checks its encoding, for kinds whose words are not checked one by one.
func (s *source) text(name string) (string, error) {
	text, err := s.read(name)
	if err != nil {
		return "", err
	}
	if at := strings.IndexByte(text, 0); at >= 0 {
		return "", fmt.Errorf("%s:%d: the file is not text; convert it to UTF-8", name, 1+strings.Count(text[:at], "\n"))
	}
	if !utf8.ValidString(text) {
		at := 0
		for at < len(text) {
			r, n := utf8.DecodeRuneInString(text[at:])
			if r == utf8.RuneError && n < 2 {
				break
			}
			at += n
		}
		return "", fmt.Errorf("%s:%d: the text is not UTF-8; convert the file", name, 1+strings.Count(text[:at], "\n"))
	}
	return text, nil
}

// include checks that a file may be included where it is: it is not among those being read, and not
// too deep.
func include(p place, name string, stack []string) error {
	switch {
	case slices.Contains(stack, name):
		return p.errorf("%s includes itself; remove the include", name)
	case len(stack) > maxDepth:
		return p.errorf("files are included more than %d deep", maxDepth)
	}
	return nil
}

// absent turns the error of opening an included file into one with the place of the include.
func absent(p place, err error) error {
	var wrong *fs.PathError
	if errors.As(err, &wrong) {
		return p.errorf("%v", wrong)
	}
	return err
}

// count counts a statement with its tokens.
func (s *source) count(p place) error {
	s.tokens += p.tokens
	if s.statements++; s.statements > maxStatements {
		return p.errorf("the configuration has more than %d statements; split it", maxStatements)
	}
	return nil
}
