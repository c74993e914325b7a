package pxedhcp_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

func Example() {
	selector := pxedhcp.New(pxedhcp.Config{})
	// dhcpsrv.Config{Boot: selector} is the whole wiring; here it is asked by hand.
	answer, _ := selector.SelectBoot(context.Background(), dhcpsrv.BootQuery{
		Arch:        []uint16{7},
		VendorClass: "PXEClient:Arch:00007:UNDI:003000",
		Server:      netip.MustParseAddr("192.0.2.1"),
	})
	fmt.Println(answer.File, answer.NextServer)
	// Output: shimx64.efi 192.0.2.1
}
