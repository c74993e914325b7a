package proxy

import "sync/atomic"

// CacheStats counts what a cache did since it was opened. Sizes are in bytes.
type CacheStats struct {
	Hits      uint64 `json:"hits"`      // answered without the origin
	Misses    uint64 `json:"misses"`    // fetched and kept
	Collapsed uint64 `json:"collapsed"` // answered from what another client's request brought
	Validated uint64 `json:"validated"` // answered after a 304
	Stale     uint64 `json:"stale"`     // answered although the origin failed
	Passed    uint64 `json:"passed"`    // fetched and not kept
	Partial   uint64 `json:"partial"`   // answered from an incomplete body and what was missing of it
	Resumed   uint64 `json:"resumed"`   // segments that went on where others had broken off, or brought a further part

	ServedBytes  int64 `json:"servedBytes"`  // of bodies of kept responses, to clients
	FetchedBytes int64 `json:"fetchedBytes"` // of bodies of kept responses, from origins

	Objects int   `json:"objects"` // now
	Bytes   int64 `json:"bytes"`   // now
	Limit   int64 `json:"limit"`
}

// SavedBytes returns the bytes served beyond those that were fetched.
func (s CacheStats) SavedBytes() int64 { return max(0, s.ServedBytes-s.FetchedBytes) }

type counters struct {
	hits, misses, collapsed, validated, stale, passed, partial, resumed atomic.Uint64
	servedBytes, fetchedBytes                                           atomic.Int64
}

// Stats returns the counters.
func (c *Cache) Stats() CacheStats {
	s := CacheStats{
		Hits: c.stats.hits.Load(), Misses: c.stats.misses.Load(), Collapsed: c.stats.collapsed.Load(),
		Validated: c.stats.validated.Load(), Stale: c.stats.stale.Load(), Passed: c.stats.passed.Load(),
		Partial: c.stats.partial.Load(), Resumed: c.stats.resumed.Load(),
		ServedBytes: c.stats.servedBytes.Load(), FetchedBytes: c.stats.fetchedBytes.Load(), Limit: c.store.Limit(),
	}
	s.Objects, s.Bytes = c.store.Usage()
	return s
}
