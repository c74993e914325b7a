package store

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// dumpReader reads a dump line by line.
type dumpReader struct {
	scan  *bufio.Scanner
	lines int
	foot  dumpFoot
}

// maxDumpLine bounds one row.
const maxDumpLine = 64 << 20

func newDumpReader(r io.Reader) *dumpReader {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxDumpLine)
	return &dumpReader{scan: s}
}

func (d *dumpReader) bytes() ([]byte, error) {
	if !d.scan.Scan() {
		if err := d.scan.Err(); err != nil {
			return nil, err
		}
		return nil, errors.New("the dump ends here; it is cut short")
	}
	d.lines++
	return d.scan.Bytes(), nil
}

func (d *dumpReader) next(v any) error {
	b, err := d.bytes()
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// line reads the head of a table, a row, or the foot (done).
func (d *dumpReader) line() (table *dumpTable, values []any, done bool, err error) {
	b, err := d.bytes()
	if err != nil {
		return nil, nil, false, err
	}
	if len(b) > 0 && b[0] == '[' {
		values, err = rowOf(b)
		return nil, values, false, err
	}
	var either struct {
		dumpTable
		Rows *int64 `json:"rows"`
	}
	if err := json.Unmarshal(b, &either); err != nil {
		return nil, nil, false, err
	}
	if either.Rows != nil {
		d.foot.Rows = *either.Rows
		return nil, nil, true, nil
	}
	return &either.dumpTable, nil, false, nil
}

func rowOf(b []byte) (values []any, err error) {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	if err := dec.Decode(&values); err != nil {
		return nil, err
	}
	for i, v := range values {
		switch v := v.(type) {
		case json.Number:
			values[i], err = v.Int64()
			if err != nil { // a fraction
				values[i], err = v.Float64()
			}
			if err != nil {
				return nil, err
			}
		case map[string]any:
			text, _ := v["b"].(string)
			raw, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return nil, err
			}
			values[i] = raw
		}
	}
	return values, nil
}
