// Package store keeps a region's data in SQLite or PostgreSQL and tells what changed.
//
// # One call
//
//	db, err := store.Open(ctx, "sqlite:///var/lib/maas/maas.db", os.DirFS("migrations"))
//
// opens the database (making it if it does not exist), brings its schema up to date and returns a
// [DB]. The schema is the caller's: this package knows no table but those of its change feed.
// "postgres://user@host/name" opens a PostgreSQL database that several regions may share, and
// "memory:" one that is gone when it is closed. Package store/inventory gives the rows their
// meaning.
//
// # Transactions
//
//	err := db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
//		id, err := tx.Insert(ctx, "INSERT INTO fabric (name) VALUES (?) RETURNING id", "lab")
//		tx.Changed("fabric", id, store.Created)
//		return err
//	})
//
// There is one writer at a time, in all processes together: what a transaction read is still true
// when it commits. A call with the ctx of a running transaction joins it, so functions that each
// need a transaction combine into larger ones. SQL is written with ? and for both engines.
//
// # The change feed
//
// Every object noted with [Tx.Changed] gets a revision at commit. [DB.Watch] yields changes in
// order, each once, from any revision on, whichever process committed them; it survives a lost
// connection without a gap.
//
// # Backup
//
// [DB.Dump] writes all data of one moment, an embedder's own tables included, in a form that either
// engine takes back; [DB.Restore] puts it in the place of all data in one transaction, while others
// use the database, whose Watches end with [ErrCompacted] then. [DB.CopyTo] copies an SQLite file
// that is in use.
//
// # Durability and errors
//
// A commit that returned nil is on disk. A rule of the schema that was broken is a
// [*ConstraintError] (fs.ErrExist when something must be unique); a database that cannot be opened
// is an [*OpenError], one line with the file and the cure. DB is safe for concurrent use; Tx is
// not.
package store
