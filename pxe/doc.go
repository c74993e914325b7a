// Package pxe boots machines from the network: it serves boot loaders, their configuration, kernels
// and initrds over TFTP and HTTP, whatever the firmware.
//
//	s, err := pxe.New(pxe.Config{
//		Resolver: pxe.Static(pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd.img"}, Cmdline: "quiet"}),
//		Files:    os.DirFS("/srv/images"),
//	})
//	go s.ServeTFTP(ctx, conn)   // port 69
//	err = s.Serve(ctx, listener) // port 5248
//
// This boots every machine the same way, with the boot loaders of the Debian packages installed
// here. A DHCP server must send firmware here: package pxe/pxedhcp does that for dhcpsrv; with
// another server configure the result of firmware.Select: option 67 (or the file field) with the
// loader, siaddr with this server, and for iPXE (user class "iPXE") the URL
// http://SERVER:5248/ipxe.cfg.
//
// A Resolver of your own answers each machine: it gets a Request (MAC address, UUID, architecture,
// method, as far as they are known) and returns a Profile: Linux, local disk, another loader, raw
// script, wait, power off, or a menu of other profiles. Rules choose by machine, subnet, tag of the
// subnet or for the site, as data. Nothing is cached, so a change holds at once. ErrNoProfile is an
// answer: the loader receives "file not found", and tries its next name or boot device.
//
// The parts work alone: package pxe/firmware has the table of boot methods, Render writes a profile
// for iPXE, GRUB or pxelinux, Loaders finds boot loaders, Attempt makes one record of a machine's
// boot from events, and package pxe/tftp is the TFTP server. Config.Also serves paths of your own
// beside them.
//
// # Names
//
// TFTP and HTTP share one name space. Names are cleaned first: firmware sends backslashes and
// doubled slashes, and no name leaves the root.
//
//	shimx64.efi, undionly.kpxe ...           boot loaders, in any case
//	boot/MAC/script.ipxe, grub.cfg ...       a machine's profile
//	boot/MAC/kernel/FILE, boot/MAC/initrd/FILE   files, attributed to the machine
//	boot/MAC/menu/ENTRY/...                  the same of an entry of its menu
//	boot/MAC/onie-installer                  the installer of a switch
//	boot/MAC/done/NONCE                      POST: the started system reports
//	images/FILE                              files
//	ipxe.cfg, grub/grub.cfg, pxelinux.cfg/NAME, onie-installer-NAME
//	                                         names that loaders ask for by themselves
//
// The machine is identified by the path, else by the parameters of iPXE's links, else by the
// address and Config.Identify. A loader that none of these identifies is sent back to ask under its
// own MAC address, and a client that cannot do so is resolved without one; no two machines ever
// share an identity.
//
// # Rules
//
// Nil fields of Config mean the defaults stated there; Resolver is required. New opens and starts
// nothing. Everything may be used from many goroutines. Config.Events receives every finished
// request. Errors name the file, the machine or the field, and for a missing loader the package
// that has it. Clients receive "file not found" or "failed", never a reason.
//
// Symbolic links of the file systems given are followed: os.OpenRoot(dir) and its FS method make
// one that none leads out of, os.DirFS does not. Profile.Validate refuses names and variables that
// a boot loader would interpret.
//
// DESIGN.md has failover, limits, and what Secure Boot allows.
package pxe
