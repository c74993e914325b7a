package store

import (
	"context"
	"io/fs"
)

// OpenVersion makes a database at a version of the schema.
func OpenVersion(ctx context.Context, url string, schema fs.FS, version int64) error {
	db, err := openAt(ctx, url, schema, version)
	if err != nil {
		return err
	}
	return db.Close()
}
