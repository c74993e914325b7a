package firmware_test

import (
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/pxe/firmware"
)

// What a machine would be handed in DHCP.
func Example() {
	at := firmware.Endpoint{Addr: netip.MustParseAddr("192.0.2.1")}
	for _, c := range []firmware.Client{
		{Arch: []firmware.Arch{firmware.ArchEFI64}, VendorClass: "PXEClient:Arch:00007:UNDI:003000"},
		{Arch: []firmware.Arch{firmware.ArchEFI64HTTP}, VendorClass: "HTTPClient:Arch:00016:UNDI:003000"},
		{Arch: []firmware.Arch{firmware.ArchBIOS}, VendorClass: "PXEClient:Arch:00000:UNDI:002001", UserClasses: []string{"iPXE"}},
	} {
		o, _ := firmware.Select(firmware.Methods(), c, at)
		fmt.Println(o.Method.Name, o.File)
	}
	// Output:
	// uefi-amd64-pxe shimx64.efi
	// uefi-amd64-http http://192.0.2.1:5248/snponly.efi
	// ipxe http://192.0.2.1:5248/ipxe.cfg?arch=0
}
