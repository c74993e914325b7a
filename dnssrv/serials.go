package dnssrv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gomaas/maas/internal/damaged"
)

// Serials make the serials of zones grow across restarts, whatever the clock does and however fast
// records change. The file holds a bound that no serial given out has passed; it is moved on, and
// on disk, before one does. The zero Serials keeps nothing: serials then start at the seconds since
// 1970. One is used by one server.
type Serials struct {
	path  string
	aside string // a damaged file

	mu    sync.Mutex // guards the fields below
	high  uint32     // the highest that was given out, by this process or, as far as is known, by one before
	bound uint32     // on disk; zero: none
}

// serialStep is the number of changes between two writes.
const serialStep = 1 << 14

// OpenSerials reads the file, which is made when missing. A damaged one is moved aside, see
// [Serials.Damaged].
func OpenSerials(path string) (*Serials, error) {
	s := &Serials{path: path}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case len(text) != 8 || crc32.ChecksumIEEE(text[:4]) != binary.BigEndian.Uint32(text[4:]):
		if s.aside, err = damaged.MoveAside(path); err != nil {
			return nil, fmt.Errorf("dnssrv: %s is damaged: %w", path, err)
		}
	default:
		s.bound = binary.BigEndian.Uint32(text)
		s.high = s.bound
	}
	if err := s.reserve(s.first()); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return nil, err
	}
	// A full disk must not keep a server from answering; the next change tries again.
	return s, nil
}

// Damaged returns the name of a file that was found damaged and moved aside by OpenSerials, empty
// if none was. Serials then start at the clock. A secondary with a higher serial, as after more
// than one change a second for long, must fetch its zones anew.
func (s *Serials) Damaged() string { return s.aside }

// first returns the serial of new zones: above every serial given out before, or the clock if that
// is ahead.
func (s *Serials) first() uint32 {
	now := uint32(time.Now().Unix())
	if s == nil {
		return now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.high != 0 && int32(s.high-now) > 0 { // RFC 1982
		return s.high
	}
	return now
}

// reserve moves the bound well past a serial that is about to be given out.
func (s *Serials) reserve(serial uint32) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.high == 0 || int32(serial-s.high) > 0 {
		s.high = serial
	}
	if s.path == "" {
		return nil
	}
	if s.bound != 0 && int32(s.bound-serial) > 0 {
		return nil
	}
	// The bound on disk is ahead of every serial given out, so that a crash skips some and repeats
	// none.
	bound := serial + serialStep
	if err := s.write(bound); err != nil {
		return fmt.Errorf("dnssrv: serials: %w", err)
	}
	s.bound = bound
	return nil
}

func (s *Serials) write(bound uint32) error {
	text := binary.BigEndian.AppendUint32(nil, bound)
	// A torn write must not look like a serial of long ago.
	text = binary.BigEndian.AppendUint32(text, crc32.ChecksumIEEE(text))
	return writeDurably(s.path, text)
}

// writeDurably replaces a file so that after a crash it has the old content or the new.
func writeDurably(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone when all went well
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// reserveFor keeps the bound ahead of a zone's serial. A failing disk does not stop answers: they
// matter more than a secondary that must start over after the next crash.
func (s *Serials) reserveFor(serial uint32, log *slog.Logger) {
	if err := s.reserve(serial); err != nil {
		log.Error("serials not stored, they may go back after a restart", "err", err)
	}
}
