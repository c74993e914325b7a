// Package firmware knows what boots from the network: the boot methods of firmware and loaders, as
// data, and the oddities that were seen.
//
//	client := firmware.Client{MAC: mac, Arch: []firmware.Arch{firmware.ArchEFI64}, VendorClass: "PXEClient:Arch:00007:UNDI:003016"}
//	offer, ok := firmware.Select(firmware.Methods(), client, firmware.Endpoint{Addr: server})
//	fmt.Println(offer.File) // shimx64.efi: options 67 and 66 of a DHCP answer follow from the offer
//
// [Methods] is the table that package pxe uses unless it is given another; [Alternatives] are
// methods that a site may prefer. [Select] is a pure function of a client, an endpoint and a table.
// [Quirks] lists oddities with the firmware in which they were seen.
//
// Values are immutable by convention: the functions may be called concurrently, and each call of
// Methods, Alternatives and Quirks returns a new slice.
package firmware
