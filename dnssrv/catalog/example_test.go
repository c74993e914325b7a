package catalog_test

import (
	"fmt"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/dnssrv/catalog"
)

// A server lists its zones in a catalog, so that secondaries need no configuration for new ones.
func Example() {
	server := dnssrv.New(dnssrv.Config{})
	change, err := catalog.Change("catalog.example", nil, []catalog.Member{{Zone: "corp.example", ID: "a1", Groups: []string{"public"}}})
	if err == nil {
		err = server.Update(change)
	}
	members, perr := catalog.Parse("catalog.example", change.Set)
	fmt.Println(members, err, perr)
	// Output: [{corp.example. a1 [public] }] <nil> <nil>
}
