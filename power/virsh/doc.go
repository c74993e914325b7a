// Package virsh drives virtual machines of a libvirt host.
//
//	target := power.Target{Kind: "virsh", Params: power.Params{
//		"power_address": "qemu+ssh://admin@192.0.2.9/system", "power_id": "vm1", "power_pass": secret,
//		"ssh_fingerprint": "SHA256:...",
//	}}
//
// The address is a libvirt URI whose transport is unix (the default when there is no host), tcp,
// tls or ssh (the default when there is one). Over ssh the library of Go is used, with the
// password, the key in ssh_key, or the keys of the user that runs the program; the host must be
// known by ssh_fingerprint or by that user's known_hosts file. Over tls the certificate is verified
// as the tls_ parameters say, and tls_cert and tls_key are shown to the host. tcp neither encrypts
// nor asks who one is: it is for test hosts.
//
// A boot device for one boot is kept in the machine's metadata, and the next start by this driver
// is made from a copy of the definition that names it. One for all boots changes the definition.
//
// Virtual media are files of the host, by their path, and images that QEMU reads at http and https,
// for which it needs its driver for curl (qemu-block-extra in Debian).
package virsh
