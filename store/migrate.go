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

// migrate brings the schema up to version upTo (0 = the newest), each step in
// a transaction. It refuses, changing nothing, a schema that a newer version
// made.
func (db *DB) migrate(ctx context.Context, upTo int64) error {
	p, err := db.migrator()
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("store: %s: read the schema's version: %w", db.name, err)
	}
	if upTo == asItIs && have < want {
		why := fmt.Sprintf("its schema is version %d, this program knows version %d", have, want)
		return &OpenError{db.name, why, "use the program that runs with it, or start this one first", ErrOlderSchema}
	}
	if upTo <= 0 {
		upTo = want
	}
	if have > want || upTo > want {
		have = max(have, upTo)
		why := fmt.Sprintf("its schema is version %d, this program knows up to %d", have, want)
		return &OpenError{db.name, why, "run the newer program that changed it, or restore a backup made before", ErrNewerSchema}
	}
	if have == upTo {
		return nil
	}
	if _, err := p.UpTo(ctx, upTo); err != nil {
		return fmt.Errorf("store: %s: change the schema to version %d: %w", db.name, upTo, gooseCause(err))
	}
	return nil
}

func (db *DB) migrator() (*goose.Provider, error) {
	steps, err := spelled(db.engine.dialect())
	if err != nil {
		return nil, err
	}
	kind := goose.DialectSQLite3
	if db.engine.dialect().numbered {
		kind = goose.DialectPostgres
	}
	p, err := goose.NewProvider(kind, db.write, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("store: %s: migrations: %w", db.name, err)
	}
	return p, nil
}

// version returns the schema's version.
func (db *DB) version(ctx context.Context) (int64, error) {
	p, err := db.migrator()
	if err != nil {
		return 0, err
	}
	return p.GetDBVersion(ctx)
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
