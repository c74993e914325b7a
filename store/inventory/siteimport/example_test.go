package siteimport_test

import (
	"fmt"
	"testing/fstest"

	"github.com/gomaas/maas/store/inventory/siteimport"
)

func Example() {
	files := fstest.MapFS{"dhcpd.conf": {Data: []byte(`
max-lease-time 7200;
subnet 192.0.2.0 netmask 255.255.255.0 {
  range 192.0.2.100 192.0.2.199;
  option routers 192.0.2.1;
}`)}}
	got, err := siteimport.Read(files, siteimport.Options{}, "dhcpd.conf")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("gateway", got.Document.Subnets[0].Gateway)
	for _, i := range got.Report {
		fmt.Printf("%d %s: %s\n", i.Line, i.Outcome, i.Why)
	}
	// Output:
	// gateway 192.0.2.1
	// 2 taken: racks give no longer lease than this
	// 3 taken: subnet 192.0.2.0/24 on fabric net-192-0-2-0-24
	// 4 taken: dynamic range
	// 5 taken: gateway of subnet 192.0.2.0/24
}
