// Package objects keeps HTTP responses on disk under their URL, within a size limit.
//
// Each object is two files: its body, and a sidecar with URL, header and the body's length and checksum. The sidecar is
// itself checksummed and takes its name by a rename after the body is complete, so it is the commit: a body without one is
// removed when the store is opened, which reads all sidecars and no body. A process that dies leaves the page cache behind,
// so what it committed is whole; after a crash of the machine (another boot id) each body is checked once, when it is first
// used, instead of being synced when it is written.
//
// A body may also be incomplete. Its sidecar then says which parts are there, is written after them, and counts until the
// machine starts again, since parts have no checksum.
//
// What stays is decided by S3-FIFO ("FIFO queues are all you need for cache eviction", SOSP 2023): a new object must be
// used a second time, or be asked for again soon after it left, to displace those in the main queue.
package objects
