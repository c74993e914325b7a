package objects

import (
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Load returns an object's content for use and counts the use. note is called once for a
// description that comes from disk. An object that cannot be read, or whose body is not what was
// written, is removed and an error says so.
func (s *Store) Load(o *Object, note func(*Meta) any) (*Content, error) {
	// Counted even if the load fails: the object is removed then.
	o.use()
	if c := s.hot.get(o); c != nil {
		return c, nil
	}
	c, err := s.read(o)
	if err != nil {
		// The next request fetches it again; serving it damaged would be worse than a miss.
		s.Remove(o)
		return nil, fmt.Errorf("object of %s: %w", o.URL, err)
	}
	c.Note = note(c.Meta)
	s.hot.put(o, c)
	return c, nil
}

func (s *Store) read(o *Object) (*Content, error) {
	m, err := readSidecar(s.path(o.id, sidecarSuffix))
	if err != nil {
		return nil, err
	}
	c := &Content{Meta: m}
	if m.Size <= smallBody {
		if c.Body, err = os.ReadFile(s.path(o.id, bodySuffix)); err != nil {
			return nil, err
		}
		if int64(len(c.Body)) != m.Size || crc32.Checksum(c.Body, castagnoli) != m.Sum {
			return nil, errBody
		}
	}
	// A small body was checked above, as it was read anyway.
	if !o.trusted.Load() && c.Body == nil {
		if err := s.verify(o, m); err != nil {
			return nil, err
		}
	}
	o.trusted.Store(true)
	return c, nil
}

var errBody = fmt.Errorf("the body is not what was written")

// verify reads a body that a crash of the machine may have damaged.
func (s *Store) verify(o *Object, m *Meta) error {
	f, err := s.Open(o)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, f)
	if err != nil {
		return err
	}
	if n != m.Size || sum.Sum32() != m.Sum {
		return errBody
	}
	return nil
}

// Open opens an object's body.
func (s *Store) Open(o *Object) (*os.File, error) { return os.Open(s.path(o.id, bodySuffix)) }
