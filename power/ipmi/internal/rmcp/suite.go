package rmcp

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
)

// suite is a cipher suite (IPMI 2.0 table 22-20). All encrypt with AES-CBC-128.
type suite struct {
	auth, integrity byte // algorithm numbers of tables 13-17 and 13-18
	hash            func() hash.Hash
	trailer         int // octets of an integrity check
}

// suites are those that this package speaks: with less there is no encryption.
var suites = map[uint8]suite{
	3:  {1, 1, sha1.New, 12},
	8:  {2, 2, md5.New, 16},
	17: {3, 4, sha256.New, 16},
}

const aesCBC128 = 1

// mac is the keyed hash of the concatenation of parts.
func (s suite) mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(s.hash, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
