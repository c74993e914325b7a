// Package wire6 reads and writes DHCPv6 messages (RFC 8415) in place: a message is its bytes, an
// option is found by walking them. Unlike a decoder into structures it does not refuse a whole
// message for one option with odd contents, such as the bare text that firmware sends as a user
// class, and it needs no module.
package wire6
