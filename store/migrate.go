package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"testing/fstest"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date, each step in a transaction. It
// refuses, changing nothing, a schema that a newer version made.
func (db *DB) migrate(ctx context.Context) error {
	steps, err := spelled(db.engine.dialect())
	if err != nil {
		return err
	}
	kind := goose.DialectSQLite3
	if db.engine.dialect().numbered {
		kind = goose.DialectPostgres
	}
	p, err := goose.NewProvider(kind, db.write, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("store: %s: migrations: %w", db.name, err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("store: %s: read the schema's version: %w", db.name, err)
	}
	if have > want {
		why := fmt.Sprintf("its schema is version %d, this program knows up to %d", have, want)
		return &OpenError{db.name, why, "run the newer program that changed it, or restore a backup made before", ErrNewerSchema}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("store: %s: change the schema to version %d: %w", db.name, want, gooseCause(err))
	}
	return nil
}

// spelled returns the migrations in an engine's dialect.
func spelled(d dialect) (fs.FS, error) {
	out := fstest.MapFS{}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out[path.Base(name)] = &fstest.MapFile{Data: []byte(d.words.Replace(string(text)))}
	}
	return out, nil
}

func gooseCause(err error) error {
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Err != nil {
		return partial.Err
	}
	return err
}
