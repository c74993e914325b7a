package oui

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// Files are the names of the IEEE's lists: large, medium and small blocks, and the small ones of
// old.
var Files = [...]string{"oui.csv", "mam.csv", "oui36.csv", "iab.csv"}

// Load reads the lists in a directory, such as os.DirFS("/usr/share/ieee-data"). oui.csv must
// exist, the others may be absent.
func Load(dir fs.FS) (*Table, error) {
	var b builder
	for _, name := range Files {
		f, err := dir.Open(name)
		if errors.Is(err, fs.ErrNotExist) && name != Files[0] {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("oui: %w", err)
		}
		err = b.read(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("oui: %s: %w", name, err)
		}
	}
	return b.table()
}

// Bytes is the table as it is embedded.
func (t *Table) Bytes() []byte { return []byte(t.data) }

// builder collects prefixes of each length, the longest first.
type builder struct {
	vendors [len(sections)]map[string]string
}

// read takes one list: registry, assignment in hexadecimal, organization, address.
func (b *builder) read(r io.Reader) error {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = -1
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(row) < 3 {
			return fmt.Errorf("a row has %d columns, not at least 3", len(row))
		}
		if first && strings.EqualFold(row[1], "Assignment") {
			continue
		}
		if err := b.add(row[1], row[2]); err != nil {
			return err
		}
	}
}

func (b *builder) add(assignment, vendor string) error {
	bits := 4 * len(assignment)
	i := slices.IndexFunc(sections[:], func(s struct{ bits, octets int }) bool { return s.bits == bits })
	if i < 0 {
		return fmt.Errorf("assignment %q has %d bits, not 24, 28 or 36", assignment, bits)
	}
	prefix, err := hex.DecodeString(assignment + strings.Repeat("0", 2*sections[i].octets-len(assignment)))
	if err != nil {
		return fmt.Errorf("assignment %q is not hexadecimal", assignment)
	}
	vendor = strings.ToValidUTF8(strings.Join(strings.Fields(vendor), " "), "")
	for len(vendor) > 255 {
		_, size := utf8.DecodeLastRuneInString(vendor)
		vendor = vendor[:len(vendor)-size]
	}
	if vendor == "" || vendor == "Private" || vendor == "IEEE Registration Authority" {
		return nil // says nothing
	}
	if b.vendors[i] == nil {
		b.vendors[i] = map[string]string{}
	}
	b.vendors[i][string(prefix)] = vendor
	return nil
}

// table writes everything down.
func (b *builder) table() (*Table, error) {
	var out, names bytes.Buffer
	offsets := map[string]int{}
	for i := range sections {
		prefixes := make([]string, 0, len(b.vendors[i]))
		for p := range b.vendors[i] {
			prefixes = append(prefixes, p)
		}
		slices.Sort(prefixes)
		out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(prefixes))))
		for _, p := range prefixes {
			vendor := b.vendors[i][p]
			at, known := offsets[vendor]
			if !known {
				at = names.Len()
				offsets[vendor] = at
				names.WriteByte(byte(len(vendor)))
				names.WriteString(vendor)
			}
			out.WriteString(p)
			out.Write([]byte{byte(at >> 16), byte(at >> 8), byte(at)})
		}
	}
	if names.Len() >= 1<<24 {
		return nil, errors.New("oui: the names do not fit")
	}
	out.Write(names.Bytes())
	return &Table{data: out.String()}, nil
}
