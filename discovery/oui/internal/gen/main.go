// Command gen makes the embedded table of package oui from the lists of Debian's package ieee-data.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/gomaas/maas/discovery/oui"
)

func main() {
	out := flag.String("out", "table.bin", "file to write")
	flag.Parse()
	if err := run(flag.Arg(0), *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(dir, out string) error {
	table, err := oui.Load(os.DirFS(dir))
	if err != nil {
		return err
	}
	return os.WriteFile(out, table.Bytes(), 0o644)
}
