package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// tables returns the names of all tables, an embedder's own included, each after the tables that it
// refers to: in this order rows are inserted without breaking a reference. The table of the
// schema's version is left out.
func (tx *Tx) tables(ctx context.Context) ([]string, error) {
	d := tx.db.engine.dialect()
	var names []string
	err := tx.Query(ctx, d.tables, nil, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		if name != versionTable {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	refers := make(map[string][]string)
	err = tx.Query(ctx, d.references, nil, func(scan func(...any) error) error {
		var from, to string
		err := scan(&from, &to)
		if from != to { // a table that refers to itself has to have deferrable references
			refers[from] = append(refers[from], to)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the references between tables: %w", err)
	}
	slices.Sort(names)
	return referredFirst(names, refers), nil
}

// referredFirst orders names so that each follows those it refers to. Tables that refer to each
// other in a circle keep their order; they need deferrable references, as one that refers to itself
// does.
func referredFirst(names []string, refers map[string][]string) []string {
	var out []string
	begun := make(map[string]bool)
	var visit func(string)
	visit = func(name string) {
		if begun[name] || !slices.Contains(names, name) {
			return
		}
		begun[name] = true
		for _, to := range slices.Sorted(slices.Values(refers[name])) {
			visit(to)
		}
		out = append(out, name)
	}
	for _, name := range names {
		visit(name)
	}
	return out
}

// quoted spells the name of a table or column that may be a word of SQL.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
