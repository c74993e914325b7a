package store

import "context"

// Dumped are the tables that a dump has.
var Dumped = dumped

// OpenVersion makes a database at a version of the schema.
func OpenVersion(ctx context.Context, url string, version int64) error {
	db, err := openAt(ctx, url, version)
	if err != nil {
		return err
	}
	return db.Close()
}
