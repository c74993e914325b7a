// Package wire reads and writes DHCPv4 messages (RFC 2131, 2132, 3396) without allocating.
//
// [Msg] is a view of a received packet and stays valid as long as its bytes do; [Writer] appends a
// reply to a buffer of the caller and keeps it within a size. Both are plain values, for one
// goroutine at a time.
//
// # Why the server has a codec of its own
//
// github.com/insomniacslk/dhcp, the usual library, decodes a message into a map of options and
// encodes it from one. Decoding a request and encoding its reply takes 10.1 µs and 98 allocations
// with it, 0.12 µs and none here. The server's own work for a packet is about 4 µs, so that the
// codec and its garbage would cost more than everything else when a site powers on.
//
// The tests and the simulated machines of this project speak through insomniacslk/dhcp, so that the
// two codecs check each other.
package wire
