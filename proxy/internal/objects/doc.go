// Package objects keeps HTTP responses on disk under their URL, within a size limit.
//
//	s, err := objects.Open(dir, 20<<30)
//	w, err := s.Create(size)
//	n, err := w.WriteAt(body, 0)
//	err = w.Commit(meta, int64(n), func() bool { return false })
//	for _, o := range s.Lookup(meta.URL) { ... }
//
// Each object is two files: its body, and a sidecar with URL, header and the body's length and
// checksum. The sidecar has a checksum of its own, and gets its name by a rename after the body is
// complete. So it is the commit: a body without one is removed when the store is opened, which
// reads all sidecars and no body. The page cache outlives a killed process, so that its commits are
// whole. After a crash of the machine (another boot id) each body is checked once, at its first
// use, instead of being synced when it is written.
//
// A body may also be incomplete. Its sidecar then lists its parts, is written after them, and is
// valid until the machine restarts, since parts have no checksum.
//
// S3-FIFO ("FIFO queues are all you need for cache eviction", SOSP 2023) decides what is evicted. A
// new object displaces those in the main queue only if it is used a second time, or is asked for
// again soon after its eviction.
package objects
