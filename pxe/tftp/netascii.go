package tftp

import (
	"bufio"
	"io"
)

// netASCII turns text with Unix line ends into netascii (RFC 764): LF becomes CR LF, and a CR that
// is data becomes CR NUL.
type netASCII struct {
	r       *bufio.Reader
	pending []byte
}

func newNetASCII(r io.Reader) io.Reader { return &netASCII{r: bufio.NewReaderSize(r, 32<<10)} }

// Read fills b as far as the source goes.
func (n *netASCII) Read(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		if len(n.pending) > 0 {
			b[done] = n.pending[0]
			n.pending = n.pending[1:]
			done++
			continue
		}
		c, err := n.r.ReadByte()
		if err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		switch c {
		case '\n':
			c, n.pending = '\r', lf
		case '\r':
			n.pending = nul
		}
		b[done] = c
		done++
	}
	return done, nil
}

var (
	lf  = []byte{'\n'}
	nul = []byte{0}
)

// netASCIIWriter is the opposite: it turns netascii into text with Unix line ends. A CR before
// anything but LF and NUL is kept.
type netASCIIWriter struct {
	w  io.Writer
	cr bool
}

// Write takes a piece of the text, which may end within a line end.
func (n *netASCIIWriter) Write(b []byte) (int, error) {
	out := make([]byte, 0, len(b)+1)
	for _, c := range b {
		switch {
		case n.cr && c == '\n':
			out = append(out, '\n')
		case n.cr && c == 0:
			out = append(out, '\r')
		case n.cr:
			out = append(out, '\r')
			if c != '\r' {
				out = append(out, c)
			}
		case c != '\r':
			out = append(out, c)
		}
		n.cr = c == '\r'
	}
	if _, err := n.w.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// flush writes a CR that ended the text.
func (n *netASCIIWriter) flush() error {
	if !n.cr {
		return nil
	}
	n.cr = false
	_, err := n.w.Write([]byte{'\r'})
	return err
}
