package pxe

import (
	"io/fs"
	"os"
)

// FileMap serves single files of this machine under chosen names: the key is the name in the file
// system it makes ("vmlinuz"), the value the path of the file. Directories cannot be listed.
type FileMap map[string]string

// Open opens the file behind name.
func (m FileMap) Open(name string) (fs.File, error) {
	p, ok := m[name]
	if !ok || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return os.Open(p)
}

// Check reports the first file that cannot be read.
func (m FileMap) Check() error {
	for name := range m {
		f, err := m.Open(name)
		if err != nil {
			return err
		}
		f.Close()
	}
	return nil
}
