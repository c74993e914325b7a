// Package wire reads and writes DHCPv4 messages (RFC 2131, 2132, 3396) without allocating.
//
// [Msg] is a view of a received packet and stays valid as long as its bytes do; [Writer] appends a reply to a buffer of
// the caller and keeps it within a size. Both are plain values, for one goroutine at a time.
package wire
