package storetest

import (
	"embed"
	"io/fs"
)

//go:embed schema/*.sql
var files embed.FS

// Schema returns the schema that the suite runs on, in two versions.
func Schema() fs.FS {
	sub, err := fs.Sub(files, "schema")
	if err != nil {
		panic(err) // the name is not valid
	}
	return sub
}
