package store

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// dumped are the tables, each after those it refers to.
var dumped = []string{
	"revision", "change", "setting", "zone", "resource_pool", "domain", "space", "fabric", "rack", "vlan", "subnet", "ip_range", "static_route",
	"reserved_ip", "node", "node_secret", "interface", "allocation", "dns_record", "observation", "event", "fact",
}

// A dump is lines of JSON: a head, for each table its columns and then its
// rows, and a foot. Values are null, numbers, strings, truth values, or
// {"b": base64} for bytes.
type (
	dumpHead struct {
		Dump   string `json:"maas_dump"` // dumpFormat
		Schema int64  `json:"schema"`
	}
	dumpTable struct {
		Table   string   `json:"table"`
		Columns []string `json:"columns"`
	}
	dumpFoot struct {
		Rows int64 `json:"rows"` // in all tables
	}
	dumpBytes struct {
		B string `json:"b"`
	}
)

const dumpFormat = "1"

// Dump writes all data, as of one moment, in a form that Restore reads into
// either engine. Others may write meanwhile.
func (db *DB) Dump(ctx context.Context, w io.Writer) error {
	version, err := db.version(ctx)
	if err != nil {
		return fmt.Errorf("store: %s: dump: %w", db.name, err)
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	err = db.View(ctx, func(ctx context.Context, tx *Tx) error {
		if err := enc.Encode(dumpHead{dumpFormat, version}); err != nil {
			return err
		}
		var rows int64
		for _, table := range dumped {
			n, err := tx.dumpTable(ctx, enc, table)
			if err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
			rows += n
		}
		return enc.Encode(dumpFoot{rows})
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("store: %s: dump: %w", db.name, err)
	}
	return nil
}

func (tx *Tx) dumpTable(ctx context.Context, enc *json.Encoder, table string) (n int64, err error) {
	rows, err := tx.tx.QueryContext(ctx, "SELECT * FROM "+table+" ORDER BY 1")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return 0, err
	}
	if err := enc.Encode(dumpTable{table, columns}); err != nil {
		return 0, err
	}
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	for ; rows.Next(); n++ {
		if err := rows.Scan(dest...); err != nil {
			return n, err
		}
		for i, v := range values {
			values[i] = portable(v, types[i].DatabaseTypeName())
		}
		if err := enc.Encode(values); err != nil {
			return n, err
		}
	}
	return n, rows.Err()
}

// portable is a value as it stands in a dump.
func portable(v any, column string) any {
	switch v := v.(type) {
	case []byte:
		return dumpBytes{base64.StdEncoding.EncodeToString(v)}
	case int64:
		if column == "BOOLEAN" { // SQLite has none and keeps 0 and 1
			return v != 0
		}
	}
	return v
}

// Restore fills the empty database that url names with what Dump wrote, all
// or nothing, and brings it up to date if the dump is of an older schema.
func Restore(ctx context.Context, url string, r io.Reader) error {
	in := newDumpReader(r)
	var head dumpHead
	if err := in.next(&head); err != nil || head.Dump == "" {
		return errors.New("store: restore: this is not a dump; name a file that a backup wrote")
	}
	if head.Dump != dumpFormat {
		return fmt.Errorf("store: restore: the dump is in format %s, this program knows %s; use a newer one", head.Dump, dumpFormat)
	}
	db, err := openAt(ctx, url, head.Schema)
	if err != nil {
		return err
	}
	err = db.Update(ctx, func(ctx context.Context, tx *Tx) error { return tx.restore(ctx, in) })
	if err != nil {
		return errors.Join(fmt.Errorf("store: restore into %s: %w", db.name, err), db.Close())
	}
	if err := db.migrate(ctx, 0); err != nil {
		return errors.Join(err, db.Close())
	}
	return db.Close()
}

func (tx *Tx) restore(ctx context.Context, in *dumpReader) error {
	var last int64
	if err := tx.Get(ctx, "SELECT last FROM revision WHERE one = 1", nil, &last); err != nil {
		return err
	}
	if last != 0 {
		return errors.New("the database is not empty; name a new one")
	}
	if _, err := tx.Exec(ctx, "DELETE FROM revision"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, tx.db.engine.dialect().deferChecks); err != nil {
		return err
	}
	rows, err := tx.restoreTables(ctx, in)
	if err != nil {
		return err
	}
	if rows != in.foot.Rows {
		return fmt.Errorf("the dump is damaged: it should have %d rows and has %d", in.foot.Rows, rows)
	}
	for _, statement := range tx.db.engine.dialect().afterLoad(dumped) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) restoreTables(ctx context.Context, in *dumpReader) (rows int64, err error) {
	insert := ""
	for {
		table, values, done, err := in.line()
		switch {
		case err != nil:
			return rows, fmt.Errorf("line %d: %w", in.lines, err)
		case done:
			return rows, nil
		case table != nil:
			if insert, err = insertInto(*table); err != nil {
				return rows, fmt.Errorf("line %d: %w", in.lines, err)
			}
		case insert == "":
			return rows, fmt.Errorf("line %d: a row before any table", in.lines)
		default:
			if _, err := tx.Exec(ctx, insert, values...); err != nil {
				return rows, fmt.Errorf("line %d: %w", in.lines, err)
			}
			rows++
		}
	}
}

// insertInto makes the statement for a table's rows. Names come from the
// dump, so nothing but known tables and plain column names is accepted.
func insertInto(t dumpTable) (string, error) {
	if !slices.Contains(dumped, t.Table) || len(t.Columns) == 0 {
		return "", fmt.Errorf("table %q is not known", t.Table)
	}
	for _, c := range t.Columns {
		if c == "" || strings.Trim(c, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return "", fmt.Errorf("column %q is not known", c)
		}
	}
	return "INSERT INTO " + t.Table + " (" + strings.Join(t.Columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(t.Columns)-1) + ")", nil
}

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

func rowOf(b []byte) ([]any, error) {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	var values []any
	if err := dec.Decode(&values); err != nil {
		return nil, err
	}
	for i, v := range values {
		switch v := v.(type) {
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return nil, err
			}
			values[i] = n
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
