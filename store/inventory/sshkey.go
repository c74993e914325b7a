package inventory

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// maxPublicKey is the longest public key in bytes; RSA with 16384 bits has less than 3 kB.
const maxPublicKey = 8 << 10

// isPublicKey tells whether a line is a type, a key of that type in base64 (RFC 4253 section 6.6), and maybe a comment.
func isPublicKey(line string) bool {
	words := strings.SplitN(line, " ", 3)
	if len(words) < 2 || len(line) > maxPublicKey {
		return false
	}
	blob, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil || len(blob) < 4 {
		return false
	}
	n := binary.BigEndian.Uint32(blob)
	return uint64(n) < uint64(len(blob)-4) && string(blob[4:4+n]) == words[0]
}
