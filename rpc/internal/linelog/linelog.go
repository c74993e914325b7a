// Package linelog keeps an append-only file of checksummed lines. It is the disk format of the
// replica and the outbox.
//
// A line is eight hexadecimal digits of CRC-32C, a space, and one JSON document. A torn last line,
// which a crash in the middle of a write leaves, is cut off at open; damage before the last line is
// reported, never skipped silently.
package linelog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/gomaas/maas/rpc/internal/atomicfile"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Log is an open file. It is not safe for concurrent use.
type Log struct {
	path string
	f    *os.File
	size int64
}

// Open reads the file at path, calling replay for each line in order, and leaves it ready for
// appending. A missing file is made with mode 0600. The slice given to replay is only valid during
// the call.
func Open(path string, replay func(line []byte) error) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &Log{path: path, f: f}
	if err := l.replay(replay); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func (l *Log) replay(replay func([]byte) error) error {
	r := bufio.NewReaderSize(l.f, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		// A line without its newline was never acknowledged: Append had not returned.
		torn := err == io.EOF
		if torn && len(line) == 0 {
			return nil
		}
		body, ok := check(line)
		if torn || !ok {
			if _, err := r.ReadByte(); err == nil {
				return fmt.Errorf("%s: damaged at byte %d; move the file away to start without it", l.path, l.size)
			}
			return l.cut() // the last line: a write that a crash interrupted
		}
		if err := replay(body); err != nil {
			return fmt.Errorf("%s: line at byte %d: %w", l.path, l.size, err)
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
