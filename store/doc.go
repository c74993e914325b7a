// Package store keeps data in SQLite or PostgreSQL and reports every change of it.
//
//	db, err := store.Open(ctx, "sqlite:///var/lib/gomaas/maas.db", os.DirFS("migrations"))
//	err = db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
//		id, err := tx.Insert(ctx, "INSERT INTO fabric (name) VALUES (?) RETURNING id", "lab")
//		tx.Changed("fabric", id, store.Created)
//		return err
//	})
//	for change, err := range db.Watch(ctx, 0) { ... } // "fabric" 1 was created
//
// [Open] makes the database if it does not exist, brings its schema up to date and returns a [DB].
// "postgres://user@host/name" opens a PostgreSQL database that several processes may share, and
// "memory:" a database that lasts until it is closed. The schema belongs to the caller: this
// package knows only the tables of its change feed. Package store/inventory/schema is the schema of
// a site.
//
// # Transactions
//
// One write transaction runs at a time, over all processes: what it read is still true when it
// commits. A call with the context of a running transaction joins that transaction, so functions
// that each need a transaction combine into larger ones. SQL is written with ? for both engines.
//
// # The change feed
//
// [Tx.Changed] records an object, which gets a revision at commit. [DB.Watch] yields changes in
// order, each once, from any revision on, whichever process committed them. It survives a lost
// connection without a gap.
//
// # Backup
//
// [DB.Dump] writes all data of one moment in a form that either engine restores: all tables of the
// database, including tables that an embedder made beside the schema. [DB.Restore] replaces all
// data in one transaction while others use the database; their Watches end with [ErrCompacted]. The
// database has to have the tables that the dump has. [DB.CopyTo] copies an SQLite file in use.
// Before Open changes the schema of an SQLite file, it keeps a copy beside it; see [DB.Upgraded].
//
// # Durability and errors
//
// A commit that returned nil is on disk. A violated rule of the schema is a [*ConstraintError]
// (fs.ErrExist if a value must be unique). A database that cannot be opened is an [*OpenError]: one
// line with the file and the cure. DB is safe for concurrent use; Tx is not.
package store
