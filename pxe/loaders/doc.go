// Package loaders reads UEFI boot loaders: for which processor they are, which certificate
// authorities signed them, and which SBAT generations they carry; and it chooses the one that a
// machine's firmware trusts.
//
//	data, err := os.ReadFile("/usr/lib/shim/shimx64.efi.signed")
//	program, err := loaders.Parse(data)
//	fmt.Println(program.Arch, program.CAs()) // amd64 [microsoft-2011 microsoft-2023]
//
// Firmware with Secure Boot starts what is signed by an authority in its db: the UEFI CA of 2011 or
// of 2023 of Microsoft, or a site's own. Shim carries a certificate of its vendor, by which it
// starts the next loader. A directory of loaders may hold several chains of this kind, one at the
// top and one in each of its directories, such as 2023/shimx64.efi with 2023/grubx64.efi. [Chains]
// lists them, and [Choose] picks one by what is known of a machine.
//
// Parse checks that the program is whole and that each signature is made over its content; it does
// not check the signatures themselves, which are the firmware's to judge.
//
// Nothing is kept: all functions may be called concurrently.
package loaders
