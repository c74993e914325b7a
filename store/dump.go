package store

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
)

// A dump is lines of JSON: a head, for each table its columns and then its rows, and a foot. Values
// are null, numbers, strings, truth values, or {"b": base64} for bytes.
type (
	dumpHead struct {
		Dump   string `json:"maas_dump"` // dumpFormat
		Schema *int64 `json:"schema"`    // version; nil in a damaged dump
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

const dumpFormat = "2"

// Dump writes all data, as of one moment, in a form that Restore reads into either engine. Others
// may write meanwhile. It has all tables of the database, including those that an embedder made
// beside the schema, whose columns hold numbers, texts, truth values and bytes.
func (db *DB) Dump(ctx context.Context, w io.Writer) error {
	version, err := db.version(ctx)
	if err != nil {
		return fmt.Errorf("store: %s: dump: %w", db.name, err)
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	err = db.View(ctx, func(ctx context.Context, tx *Tx) error {
		if err := enc.Encode(dumpHead{dumpFormat, &version}); err != nil {
			return err
		}
		tables, err := tx.tables(ctx)
		if err != nil {
			return err
		}
		var rows int64
		for _, table := range tables {
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
	rows, err := tx.tx.QueryContext(ctx, "SELECT * FROM "+quoted(table)+" ORDER BY 1")
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

// portable returns a value in the form that a dump has.
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
