// Package schema holds the tables of a site as the migrations that [store.Open] runs:
//
//	db, err := store.Open(ctx, "sqlite:///var/lib/gomaas/maas.db", schema.FS)
//	inv, err := inventory.Open(ctx, db, inventory.Config{})
//
// A release only ever adds a file; what a release contains is never edited, since databases record
// the number of the last file they ran.
package schema

import "embed"

// FS holds the migrations. Databases of builds from before the first release had others; a backup
// made by such a build is restored into this schema.
//
//go:embed *.sql
var FS embed.FS
