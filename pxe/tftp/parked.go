package tftp

import (
	"fmt"
	"io"
)

// parked is a file that is opened when it is read for the first time.
type parked struct {
	open func() (File, error)
	size int64 // as the client was told
	file File
	err  error
}

func (p *parked) Read(b []byte) (int, error) {
	if p.file.Reader == nil && p.err == nil {
		if p.file, p.err = p.open(); p.err == nil && p.file.Size != p.size {
			p.err = fmt.Errorf("tftp: the file has %d bytes, and had %d when the client asked", p.file.Size, p.size)
		}
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.file.Read(b)
}

func (p *parked) Close() error {
	if p.file.Reader == nil {
		return nil
	}
	return p.file.Close()
}

var _ io.ReadCloser = (*parked)(nil)
