package dhcpsrv

import (
	"bytes"
	"context"
	"io/fs"
	"iter"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/record"
)

// LeaseStore keeps leases over restarts. The server holds all leases in memory and reads the store
// only once, in [New].
//
// Package dhcptest holds the conformance tests for implementations; package journal and [MemStore]
// pass them.
type LeaseStore interface {
	// Load returns every stored lease, the latest record of each address of each VRF, in any order.
	// An error ends the sequence.
	Load(ctx context.Context) iter.Seq2[Lease, error]

	// Commit stores the leases, each in place of the record with its Addr and VRF, and returns once
	// they would survive a power failure. When one batch holds several records for an address of a
	// VRF the last one counts. After an error any part of the batch may or may not be stored. Never
	// called concurrently; the store must not keep the slice or the slices in it.
	Commit(ctx context.Context, batch []Lease) error
}

// MemStore is a [LeaseStore] without durability, for tests and for servers whose leases may be
// forgotten. The zero value is empty and ready; it is safe for concurrent use.
type MemStore struct {
	mu     sync.Mutex
	leases map[netip.Addr]Lease // by record.Key

	partners []byte
}

// LoadPartners implements failover.Store.
func (m *MemStore) LoadPartners(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.partners == nil {
		return nil, fs.ErrNotExist
	}
	return m.partners, nil
}

// SavePartners implements failover.Store.
func (m *MemStore) SavePartners(_ context.Context, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.partners = bytes.Clone(data)
	return nil
}

// Shift implements [ShiftStore].
func (m *MemStore) Shift(_ context.Context, by time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for a, l := range m.leases {
		l.shift(by)
		m.leases[a] = l
	}
	return nil
}

// Load implements [LeaseStore].
func (m *MemStore) Load(context.Context) iter.Seq2[Lease, error] {
	m.mu.Lock()
	all := maps.Clone(m.leases)
	m.mu.Unlock()
	return func(yield func(Lease, error) bool) {
		for _, l := range all {
			if !yield(l.clone(), nil) {
				return
			}
		}
	}
}

// Commit implements [LeaseStore].
func (m *MemStore) Commit(ctx context.Context, batch []Lease) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leases == nil {
		m.leases = make(map[netip.Addr]Lease)
	}
	for _, l := range batch {
		m.leases[record.Key(l.Addr, l.VRF)] = l.clone()
	}
	return nil
}
