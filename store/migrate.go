package store

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/pressly/goose/v3"
)

// versionTable records the migrations that were run. Goose's own default name marks the databases
// of builds from before the first release, whose migrations had other numbers.
const (
	versionTable = "schema_version"
	formerTable  = "goose_db_version"
)

// feedTables makes the tables of the change feed, which every database has whatever its schema.
//
//go:embed feed.sql
var feedTables string

// migrate brings the schema up to version upTo (0 = the newest), each step in a transaction. It
// refuses a schema that a newer version made, and changes nothing then.
func (db *DB) migrate(ctx context.Context, upTo int64) error {
	if err := db.refuseFormer(ctx); err != nil {
		return err
	}
	if upTo != asItIs {
		if err := db.makeFeed(ctx); err != nil {
			return err
		}
	}
	if db.schema == nil {
		return nil
	}
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
	copied, err := db.keepFormer(ctx, have)
	if err != nil {
		return err
	}
	if _, err := p.UpTo(ctx, upTo); err != nil {
		return fmt.Errorf("store: %s: change the schema to version %d: %w", db.name, upTo, gooseCause(err))
	}
	db.upgrade = Upgrade{From: have, To: upTo, Copy: copied}
	return nil
}

// refuseFormer refuses a database of a build from before the first release: its tables have the
// names of today's, so that migrating it would fail halfway.
func (db *DB) refuseFormer(ctx context.Context) error {
	former, err := db.hasTable(ctx, formerTable)
	if err != nil {
		return err
	}
	current, err := db.hasTable(ctx, versionTable)
	if err != nil {
		return err
	}
	if former && !current {
		const cure = "make an archive of it with the program that runs with it, and restore that into a new database with this one"
		return &OpenError{db.name, "it was made by a build from before the first release, whose schema is another", cure, ErrFormerSchema}
	}
	return nil
}

func (db *DB) hasTable(ctx context.Context, name string) (has bool, err error) {
	d := db.engine.dialect()
	if err := db.write.QueryRowContext(ctx, d.bind(d.hasTable), name).Scan(&has); err != nil {
		return false, fmt.Errorf("store: %s: look for table %s: %w", db.name, name, err)
	}
	return has, nil
}

// makeFeed makes the tables of the change feed unless they exist. It looks for the last of them: if
// the program ends halfway, the next start makes the rest.
func (db *DB) makeFeed(ctx context.Context) error {
	has, err := db.hasTable(ctx, "change")
	if err != nil || has {
		return err
	}
	if _, err := db.write.ExecContext(ctx, feedTables); err != nil {
		return fmt.Errorf("store: %s: make the tables of the change feed: %w", db.name, err)
	}
	return nil
}

func (db *DB) migrator() (*goose.Provider, error) {
	kind := goose.DialectSQLite3
	if db.engine.dialect().numbered {
		kind = goose.DialectPostgres
	}
	steps := spelledFS{db.schema, db.engine.dialect().words}
	p, err := goose.NewProvider(kind, db.write, steps, goose.WithDisableGlobalRegistry(true), goose.WithTableName(versionTable))
	if err != nil {
		return nil, fmt.Errorf("store: %s: migrations: %w", db.name, err)
	}
	return p, nil
}

// version returns the schema's version; 0 if there is no schema.
func (db *DB) version(ctx context.Context) (int64, error) {
	if db.schema == nil {
		return 0, nil
	}
	p, err := db.migrator()
	if err != nil {
		return 0, err
	}
	return p.GetDBVersion(ctx)
}

// spelledFS is a schema whose files are in an engine's dialect.
type spelledFS struct {
	fs.FS
	words *strings.Replacer
}

// Open reads SQL files whole and replaces their words; directories pass through.
func (s spelledFS) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if err != nil || path.Ext(name) != ".sql" {
		return f, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return spelledFile{f, strings.NewReader(s.words.Replace(string(bytes.TrimSpace(text))))}, nil
}

// spelledFile reads the replaced text of the file that it closes.
type spelledFile struct {
	fs.File
	text *strings.Reader
}

func (f spelledFile) Read(p []byte) (int, error) { return f.text.Read(p) }

func gooseCause(err error) error {
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Err != nil {
		return partial.Err
	}
	return err
}
