package loaders

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Program describes a UEFI program.
type Program struct {
	Arch       string       // such as "amd64", as firmware.Arch prints it
	Size       int64        // bytes
	Signatures []Signature  // none means that firmware with Secure Boot refuses it
	SBAT       []Generation // by which shim refuses what was revoked
	Vendor     []string     // of shim: the authorities by which it starts the next loader
}

// Generation is a line of a program's SBAT section.
type Generation struct {
	Component  string `json:"component"`
	Generation int    `json:"generation"`
	Vendor     string `json:"vendor,omitempty"`
	Version    string `json:"version,omitempty"`
}

// Errors that Parse wraps.
var (
	ErrNoProgram = errors.New("no UEFI program")
	ErrTruncated = errors.New("truncated")
	ErrDamaged   = errors.New("the signature is of other content")
)

// Processors by the machine type in the header (PE format, "Machine Types").
var archs = map[uint16]string{
	0x14c: "i386", 0x8664: "amd64", 0x1c0: "armhf", 0x1c2: "armhf", 0xaa64: "arm64",
	0x5064: "riscv64", 0x6232: "loong32", 0x6264: "loong64", 0xebc: "ebc",
}

// Parse reads a program. It has the errors ErrNoProgram, ErrTruncated and ErrDamaged; an unsigned
// program is none of them.
func Parse(data []byte) (Program, error) {
	h, err := readHeader(data)
	if err != nil {
		return Program{}, err
	}
	p := Program{Arch: h.arch, Size: int64(len(data))}
	if text, ok := h.section(".sbat"); ok {
		p.SBAT = parseSBAT(text)
	}
	if table, ok := h.section(".vendor_cert"); ok {
		p.Vendor = vendorNames(table)
	}
	for _, raw := range h.certificates() {
		s, digest, err := parseSignature(raw)
		if err != nil {
			return p, fmt.Errorf("loaders: signature %d: %w", len(p.Signatures)+1, err)
		}
		if sum := h.hash(); len(digest) == len(sum) && !bytes.Equal(digest, sum[:]) {
			return p, fmt.Errorf("loaders: signature %d of %s: %w; fetch the file again", len(p.Signatures)+1, s.Issuer, ErrDamaged)
		}
		p.Signatures = append(p.Signatures, s)
	}
	return p, nil
}

// CAs returns the authorities that signed the program, each once.
func (p Program) CAs() (all []CA) {
	for _, s := range p.Signatures {
		if !slices.Contains(all, s.CA()) {
			all = append(all, s.CA())
		}
	}
	return all
}

// Trusts reports whether a shim starts another program, as far as its vendor's certificate decides.
func (p Program) Trusts(next Program) bool {
	for _, s := range next.Signatures {
		if slices.Contains(p.Vendor, s.Issuer) || slices.Contains(p.Vendor, s.Signer) {
			return true
		}
	}
	return false
}

// header is the part of a program that says where everything else is.
type header struct {
	data                 []byte
	arch                 string
	checksum, directory  int // offsets of fields that signatures leave out
	headers              int // size of all headers
	sections             []section
	certFirst, certBytes int
}

type section struct {
	name        string
	first, size int
	used        int // bytes of it that count in memory
}

// Offsets in the PE format.
const (
	dosHeader     = 64
	peOffset      = 0x3c
	coffHeader    = 24 // with the signature before it
	sectionHeader = 40
	security      = 4 // index of the certificate table among the directories
	magic32       = 0x10b
	magic64       = 0x20b
)

// num reads a size or an offset. Larger ones than any loader has are cut, so that sums of them fit
// into words of 32 bits.
func num(b []byte) int { return int(min(binary.LittleEndian.Uint32(b), 1<<29)) }

func readHeader(data []byte) (h header, err error) {
	le := binary.LittleEndian
	if len(data) < dosHeader || data[0] != 'M' || data[1] != 'Z' {
		return h, fmt.Errorf("loaders: %w: it does not begin with MZ", ErrNoProgram)
	}
	pe := num(data[peOffset:])
	if pe > len(data)-coffHeader-2 || pe < 0 {
		return h, fmt.Errorf("loaders: %w: %d bytes, and its header is at %d; fetch the file again", ErrTruncated, len(data), pe)
	}
	if string(data[pe:pe+4]) != "PE\x00\x00" {
		return h, fmt.Errorf("loaders: %w: a program of DOS", ErrNoProgram)
	}
	machine, sections, optional := le.Uint16(data[pe+4:]), int(le.Uint16(data[pe+6:])), int(le.Uint16(data[pe+20:]))
	h = header{data: data, arch: archs[machine]}
	if h.arch == "" {
		return h, fmt.Errorf("loaders: %w: processor 0x%x is not known", ErrNoProgram, machine)
	}
	first := pe + coffHeader
	if first+optional+sections*sectionHeader > len(data) {
		return h, fmt.Errorf("loaders: %w: %d bytes, and its headers need %d; fetch the file again", ErrTruncated, len(data), first+optional+sections*sectionHeader)
	}
	if err := h.readOptional(first, optional); err != nil {
		return h, err
	}
	return h, h.readSections(first+optional, sections)
}

// readOptional reads the header that only object files lack.
func (h *header) readOptional(first, size int) error {
	le := binary.LittleEndian
	count := 92
	switch le.Uint16(h.data[first:]) {
	case magic32:
	case magic64:
		count = 108
	default:
		return fmt.Errorf("loaders: %w: an object file", ErrNoProgram)
	}
	if size < count+4 {
		return fmt.Errorf("loaders: %w: its header has %d bytes", ErrNoProgram, size)
	}
	h.checksum, h.headers = first+64, num(h.data[first+60:])
	if at := first + count + 4 + 8*security; num(h.data[first+count:]) > security && size >= at-first+8 {
		h.directory = at
		h.certFirst, h.certBytes = num(h.data[at:]), num(h.data[at+4:])
	}
	switch {
	case h.headers > len(h.data):
		return fmt.Errorf("loaders: %w: %d bytes, and its headers need %d; fetch the file again", ErrTruncated, len(h.data), h.headers)
	case h.certBytes > 0 && (h.certFirst < first || h.certFirst+h.certBytes > len(h.data)):
		return fmt.Errorf("loaders: %w: %d bytes, and its signatures end at %d; fetch the file again", ErrTruncated, len(h.data), h.certFirst+h.certBytes)
	}
	return nil
}

func (h *header) readSections(at, count int) error {
	for range count {
		raw := h.data[at : at+sectionHeader]
		at += sectionHeader
		s := section{name: strings.TrimRight(string(raw[:8]), "\x00"), used: num(raw[8:]), size: num(raw[16:]), first: num(raw[20:])}
		if s.size == 0 {
			continue
		}
		if s.first+s.size > len(h.data) {
			return fmt.Errorf("loaders: %w: %d bytes, and section %q ends at %d; fetch the file again", ErrTruncated, len(h.data), s.name, s.first+s.size)
		}
		h.sections = append(h.sections, s)
	}
	return nil
}

// section returns what a section holds, without its padding.
func (h *header) section(name string) ([]byte, bool) {
	// COFF's names have eight bytes; GNU's binutils write longer ones as an offset into a table of
	// strings, in which .vendor_cert is looked for by its content.
	for _, s := range h.sections {
		if s.name == name || strings.HasPrefix(s.name, "/") && h.longName(s.name) == name {
			size := s.size
			if s.used > 0 {
				size = min(size, s.used)
			}
			return h.data[s.first : s.first+size], true
		}
	}
	return nil, false
}

// longName reads a name from the table of strings, which follows the symbols.
func (h *header) longName(ref string) string {
	pe := num(h.data[peOffset:])
	symbols, count := num(h.data[pe+12:]), num(h.data[pe+16:])
	offset := 0
	if _, err := fmt.Sscanf(ref, "/%d", &offset); err != nil || symbols == 0 || offset < 4 {
		return ""
	}
	at := symbols + 18*count + offset
	if at < 0 || at >= len(h.data) {
		return ""
	}
	name, _, _ := bytes.Cut(h.data[at:min(at+64, len(h.data))], []byte{0})
	return string(name)
}

// parseSBAT reads the lines of an SBAT section: component, generation, vendor, package, version,
// URL.
func parseSBAT(text []byte) (all []Generation) {
	for line := range strings.Lines(strings.TrimRight(string(text), "\x00")) {
		f := strings.Split(strings.TrimSpace(line), ",")
		g := Generation{Component: f[0]}
		if len(f) < 2 || f[0] == "" {
			continue
		}
		if _, err := fmt.Sscanf(f[1], "%d", &g.Generation); err != nil {
			continue
		}
		if len(f) > 4 {
			g.Vendor, g.Version = f[2], f[4]
		}
		all = append(all, g)
	}
	return all
}
