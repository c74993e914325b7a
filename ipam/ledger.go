package ipam

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"sync"
)

// Ledger is the record of who holds which address, and what decides between two who want the same
// one. Its methods are called concurrently and may block; they return promptly with an error when
// ctx ends.
type Ledger interface {
	// Insert records that key holds addr. It is atomic: of two calls for one address exactly one
	// succeeds, the other gets an error that is fs.ErrExist to errors.Is. key may be empty.
	Insert(ctx context.Context, addr netip.Addr, key string) error
	// Delete removes the record; fs.ErrNotExist if there is none.
	Delete(ctx context.Context, addr netip.Addr) error
	// Holder returns the key that holds addr; fs.ErrNotExist if none does.
	Holder(ctx context.Context, addr netip.Addr) (key string, err error)
}

// Lister is a Ledger with other writers, or one that existed before the Pool. A Pool reads it when
// it is made, and again before it refuses.
type Lister interface {
	// Addrs yields every held address inside p, in any order. It yields an error as the last
	// element if it could not go on.
	Addrs(ctx context.Context, p netip.Prefix) iter.Seq2[netip.Addr, error]
}

// MemLedger is a Ledger in memory. The zero value is empty and ready.
type MemLedger struct {
	mu   sync.RWMutex
	held map[u128]string // by wide(address)
}

// wide is the key of an address in a MemLedger: IPv4 as 4-in-6, so that both families fit.
func wide(a netip.Addr) u128 {
	return toU128(netip.AddrFrom16(a.As16()))
}

// Insert implements Ledger.
func (l *MemLedger) Insert(_ context.Context, addr netip.Addr, key string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The error names the holder, so that its reader can find out why.
	if holder, ok := l.held[wide(addr)]; ok {
		return fmt.Errorf("ipam: address %s is held by %q: %w", addr, holder, fs.ErrExist)
	}
	if l.held == nil {
		l.held = make(map[u128]string)
	}
	l.held[wide(addr)] = key
	return nil
}

// Delete implements Ledger.
func (l *MemLedger) Delete(_ context.Context, addr netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.held[wide(addr)]; !ok {
		return fmt.Errorf("ipam: address %s is not held: %w", addr, fs.ErrNotExist)
	}
	delete(l.held, wide(addr))
	return nil
}

// Holder implements Ledger.
func (l *MemLedger) Holder(_ context.Context, addr netip.Addr) (string, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	key, ok := l.held[wide(addr)]
	if !ok {
		return "", fmt.Errorf("ipam: address %s is not held: %w", addr, fs.ErrNotExist)
	}
	return key, nil
}

// Len returns how many addresses are held.
func (l *MemLedger) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.held)
}

// Addrs implements Lister, on a snapshot.
func (l *MemLedger) Addrs(_ context.Context, p netip.Prefix) iter.Seq2[netip.Addr, error] {
	l.mu.RLock()
	// A copy: the caller may insert while it reads.
	held := make([]netip.Addr, 0, len(l.held))
	for w := range l.held {
		if a := w.addr(false).Unmap(); p.Contains(a) {
			held = append(held, a)
		}
	}
	l.mu.RUnlock()
	return func(yield func(netip.Addr, error) bool) {
		for _, a := range held {
			if !yield(a, nil) {
				return
			}
		}
	}
}
