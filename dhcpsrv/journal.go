package dhcpsrv

import "errors"

// Journal is a [LeaseStore] in one append-only file.
type Journal struct{ MemStore }

// OpenJournal opens or creates the journal at path.
func OpenJournal(path string) (*Journal, error) { return nil, errors.ErrUnsupported }

// Close ends background work and closes the file.
func (j *Journal) Close() error { return nil }
