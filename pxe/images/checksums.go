package images

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"path"
	"strconv"
	"strings"
)

// checksum holds what a document says of a file. Empty sums are not known.
type checksum struct {
	sha256, sha512 []byte
	size           int64 // -1 = not known
}

// set takes a sum in hexadecimal; it reports false for text that is none. MD5 and SHA-1 protect
// nothing and are left out.
func (c *checksum) set(sum string) bool {
	raw, err := hex.DecodeString(sum)
	switch {
	case err != nil:
		return false
	case len(raw) == sha256.Size:
		c.sha256 = raw
	case len(raw) == sha512.Size:
		c.sha512 = raw
	default:
		return false
	}
	return true
}

func (c checksum) known() bool { return c.sha256 != nil || c.sha512 != nil }

// parseChecksums reads the documents in which distributions list checksums, all of them by lines:
//
//	SUM  PATH, SUM *PATH                 sha256sum and sha512sum
//	SHA256 (PATH) = SUM                  BSD's form, of Fedora and AlmaLinux
//	SUM SIZE PATH                        Debian's Release files
//	PATH = sha256:SUM                    .treeinfo
//
// Other lines are skipped. Paths are cleaned, and those that lead out of the directory are left
// out. A path that occurs twice with different sums is left out as well: which one counts could be
// chosen by an attacker who may only append.
func parseChecksums(data []byte) map[string]checksum {
	out, bad := make(map[string]checksum), make(map[string]bool)
	for line := range bytes.Lines(data) {
		name, one := checksumLine(strings.TrimSpace(string(line)))
		name = path.Clean(strings.TrimLeft(name, "/"))
		if name == "." || strings.HasPrefix(name, "../") || name == ".." || !one.known() {
			continue
		}
		all, known := out[name]
		if !known {
			all.size = -1
		}
		if differ(all.sha256, one.sha256) || differ(all.sha512, one.sha512) || all.size >= 0 && one.size >= 0 && all.size != one.size {
			bad[name] = true
		}
		if one.sha256 != nil {
			all.sha256 = one.sha256
		}
		if one.sha512 != nil {
			all.sha512 = one.sha512
		}
		all.size = max(all.size, one.size)
		out[name] = all
	}
	for name := range bad {
		delete(out, name)
	}
	return out
}

// differ reports whether both are known and different.
func differ(a, b []byte) bool { return a != nil && b != nil && !bytes.Equal(a, b) }

func checksumLine(line string) (name string, c checksum) {
	c.size = -1
	// The forms do not overlap: a sum is no name of an algorithm, and has no parenthesis.
	if _, rest, ok := strings.Cut(line, " ("); ok { // BSD
		if name, sum, ok := strings.Cut(rest, ") = "); ok && c.set(sum) {
			return name, c
		}
	}
	if name, sum, ok := strings.Cut(line, " = "); ok { // .treeinfo
		if _, sum, ok = strings.Cut(sum, ":"); ok && c.set(sum) {
			return strings.TrimSpace(name), c
		}
	}
	sum, rest, _ := strings.Cut(line, " ")
	if !c.set(sum) {
		return "", checksum{}
	}
	rest = strings.TrimSpace(rest)
	// A file whose own name begins with a number and a space is taken for this form, and not found.
	if size, name, ok := strings.Cut(rest, " "); ok { // Release
		if n, err := strconv.ParseInt(size, 10, 64); err == nil && n >= 0 {
			c.size = n
			return strings.TrimSpace(name), c
		}
	}
	return strings.TrimPrefix(rest, "*"), c
}
