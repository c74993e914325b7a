// Package oui returns the vendor of a network card from its MAC.
//
//	vendor := oui.Lookup([]byte(mac)) // "Raspberry Pi Trading Ltd", "" if it is not known
//
// The register is the IEEE's, as Debian's package ieee-data has it, in a form that is searched
// where the linker put it, without a copy. [Lookup] uses the register that was current when this
// package was built. [Load] reads a newer one at run time, from the directory of that package or
// from files of the same format. Locally administered addresses have no vendor.
package oui

import (
	_ "embed"
	"sort"
)

//go:generate go run ./internal/gen -out table.bin /usr/share/ieee-data

//go:embed table.bin
var embedded string

// builtIn is read-only.
var builtIn = Table{data: embedded}

// Lookup is [Table.Lookup] of the register that this package was built with.
func Lookup(mac []byte) string { return builtIn.Lookup(mac) }

// Default is the register that this package was built with.
func Default() *Table { return &builtIn }

// A Table is a register. It is not changed after it was made, and may be used concurrently. The
// zero value knows no vendor.
//
// Its one string holds, for prefixes of 36, 28 and 24 bits in this order: the number of entries (4
// octets, big endian), and the entries in ascending order, each a prefix (5, 4 and 3 octets, left
// aligned) and where its vendor's name begins behind all of them (3 octets). A name is one octet of
// length and the text.
type Table struct{ data string }

// sections are the lengths of prefixes: in bits, and in octets.
var sections = [...]struct{ bits, octets int }{{36, 5}, {28, 4}, {24, 3}}

const offsetOctets = 3

// Lookup returns the vendor of a MAC, empty when it is not known. It does not allocate.
func (t *Table) Lookup(mac []byte) string {
	if t == nil || t.data == "" || len(mac) != 6 || mac[0]&2 != 0 {
		return ""
	}
	var name int
	found := false
	rest := t.data
	for _, s := range sections {
		n, entries := number(rest[:4]), rest[4:]
		size := s.octets + offsetOctets
		if !found {
			var want [5]byte
			copy(want[:s.octets], mac)
			if s.bits%8 != 0 {
				want[s.octets-1] &= 0xf0
			}
			i := sort.Search(n, func(i int) bool { return entries[i*size:i*size+s.octets] >= string(want[:s.octets]) })
			if i < n && entries[i*size:i*size+s.octets] == string(want[:s.octets]) {
				found, name = true, number(entries[i*size+s.octets:(i+1)*size])
			}
		}
		rest = entries[n*size:]
	}
	if !found {
		return ""
	}
	return rest[name+1 : name+1+int(rest[name])]
}

// Len returns the number of prefixes.
func (t *Table) Len() (total int) {
	if t == nil || t.data == "" {
		return 0
	}
	rest := t.data
	for _, s := range sections {
		n := number(rest[:4])
		total += n
		rest = rest[4+n*(s.octets+offsetOctets):]
	}
	return total
}

func number(b string) (n int) {
	for i := range len(b) {
		n = n<<8 | int(b[i])
	}
	return n
}
