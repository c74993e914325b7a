// Package linelog keeps an append-only file of checksummed lines. It is the disk format of the
// replica and the outbox.
//
// A line is eight hexadecimal digits of CRC-32C, a space, and one JSON document. A torn last line,
// which a crash in the middle of a write leaves, is cut off at open. A file with damaged lines is
// moved aside; its other lines are replayed, and Damaged reports it.
package linelog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/gomaas/maas/internal/atomicfile"
	"github.com/gomaas/maas/internal/damaged"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Log is an open file. It is not safe for concurrent use.
type Log struct {
	path string
	f    *os.File
	size int64

	aside string // where the damaged file is
}

// Open reads the file at path, calling replay for each line in order, and leaves it ready for
// appending. A missing file is made with mode 0600. The slice given to replay is only valid during
// the call.
//
// A line that is damaged, or that replay refuses, is skipped. The file is then moved aside, and the
// log is empty: the caller writes with Rewrite what the other lines mean.
func Open(path string, replay func(line []byte) error) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &Log{path: path, f: f}
	whole, err := l.replay(replay)
	if err == nil && whole {
		return l, nil
	}
	if err == nil {
		l.aside, err = damaged.MoveAside(path)
	}
	f.Close()
	if err != nil {
		return nil, err
	}
	l.size = 0
	if l.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	return l, nil
}

// Damaged returns the name to which the file was moved by Open, empty if it was whole.
func (l *Log) Damaged() string { return l.aside }

// replay reports whether all lines were replayed.
func (l *Log) replay(replay func([]byte) error) (whole bool, err error) {
	whole = true
	r := bufio.NewReaderSize(l.f, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return false, nil // a sector that the disk cannot read
		}
		// A line without its newline was never acknowledged: Append had not returned.
		if err == io.EOF {
			if !whole || len(line) == 0 {
				return whole, nil
			}
			return true, l.cut()
		}
		if body, ok := check(line); !ok || replay(body) != nil {
			whole = false
		}
		l.size += int64(len(line))
	}
}

// cut drops everything after the last good line.
func (l *Log) cut() error {
	if err := l.f.Truncate(l.size); err != nil {
		return err
	}
	_, err := l.f.Seek(l.size, io.SeekStart)
	return err
}

func check(line []byte) ([]byte, bool) {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	if len(line) < 9 || line[8] != ' ' {
		return nil, false
	}
	body := line[9:]
	return body, string(line[:8]) == sum(body)
}

func sum(body []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)) }

// Append writes the lines and returns once they are on disk. When it fails, none of them counts:
// what may have been written is cut off again.
func (l *Log) Append(lines ...[]byte) error {
	// One write and one sync for all lines: a batch costs as much as a line.
	buf := encode(lines)
	_, err := l.f.WriteAt(buf, l.size)
	if err == nil {
		err = l.f.Sync()
	}
	if err != nil {
		return errors.Join(err, l.cut())
	}
	l.size += int64(len(buf))
	return nil
}

// Rewrite replaces the whole file atomically by the given lines.
func (l *Log) Rewrite(lines ...[]byte) error {
	buf := encode(lines)
	f, err := atomicfile.Replace(l.path, buf)
	if f != nil { // in place, with an error too: lines appended to the old file would be lost
		l.f.Close()
		l.f, l.size = f, int64(len(buf))
	}
	return err
}

func encode(lines [][]byte) []byte {
	var buf bytes.Buffer
	for _, line := range lines {
		buf.WriteString(sum(line))
		buf.WriteByte(' ')
		buf.Write(line)
		buf.WriteByte('\n')
	}
	return buf.Bytes()
}

// Size is the length of the file in bytes.
func (l *Log) Size() int64 { return l.size }

// Close closes the file.
func (l *Log) Close() error { return l.f.Close() }
