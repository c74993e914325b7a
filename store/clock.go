package store

import (
	"context"
	"time"
)

// Now returns the time of the database's clock, which all processes on one database share. For
// SQLite it is the clock of the host.
func (tx *Tx) Now(ctx context.Context) (time.Time, error) {
	var micro int64
	err := tx.Get(ctx, tx.db.engine.dialect().now, nil, &micro)
	return time.UnixMicro(micro), err
}

// Shared reports whether other hosts may use the database too.
func (db *DB) Shared() bool {
	_, is := db.engine.(*pgEngine)
	return is
}
