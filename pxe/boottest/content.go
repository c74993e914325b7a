package boottest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// Content is a file that many machines load. What a machine loads is compared with it, so that a
// file that arrives whole is not hashed again. It is safe for concurrent use; its octets must not
// change.
type Content struct {
	data []byte
	sum  string
}

// NewContent hashes a file once. It keeps data.
func NewContent(data []byte) *Content {
	sum := sha256.Sum256(data)
	return &Content{data, hex.EncodeToString(sum[:])}
}

// SHA256 returns the digest of the content, in the form of [File].
func (c *Content) SHA256() string { return c.sum }

// digest computes the SHA-256 of what is written to it: by comparison as long as that is the
// beginning of a known content, else by hashing.
type digest struct {
	known []*Content
	is    *Content  // whose beginning was written so far; nil = of none
	size  int       // of what equals the beginning of is
	hash  hash.Hash // of everything, once it is the beginning of none
}

func (d *digest) Write(p []byte) (int, error) {
	if d.hash == nil && !d.follow(p) {
		d.hash = sha256.New()
		if d.is != nil {
			d.hash.Write(d.is.data[:d.size])
		}
	}
	if d.hash != nil {
		return d.hash.Write(p)
	}
	d.size += len(p)
	return len(p), nil
}

// follow reports whether what was written and p are the beginning of a known content.
func (d *digest) follow(p []byte) bool {
	if d.is != nil && bytes.HasPrefix(d.is.data[d.size:], p) {
		return true
	}
	for _, c := range d.known {
		if d.is != nil && !bytes.HasPrefix(c.data, d.is.data[:d.size]) || len(c.data) < d.size {
			continue
		}
		if bytes.HasPrefix(c.data[d.size:], p) {
			d.is = c
			return true
		}
	}
	return false
}

// sum returns the digest in hexadecimal.
func (d *digest) sum() string {
	switch {
	case d.hash != nil:
		return hex.EncodeToString(d.hash.Sum(nil))
	case d.is == nil:
		return NewContent(nil).sum
	case d.size == len(d.is.data):
		return d.is.sum
	}
	return NewContent(d.is.data[:d.size]).sum
}
