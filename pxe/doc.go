// Package pxe boots machines from the network: it serves boot loaders, their configuration, kernels
// and initrds over TFTP and HTTP, whatever the firmware.
//
// # Three ways to use it
//
// The same for everyone, with the boot loaders of the Debian packages installed here:
//
//	s, err := pxe.New(pxe.Config{
//		Resolver: pxe.Static(pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd.img"}, Cmdline: "quiet"}),
//		Files:    os.DirFS("/srv/images"),
//	})
//	go s.ServeTFTP(ctx, conn)   // port 69
//	err = s.Serve(ctx, listener) // port 5248
//
// A Resolver of your own answers each machine: it gets a Request (MAC address, UUID, architecture,
// method, as far as they are known) and returns a Profile: Linux, local disk, another loader, raw
// script, wait or power off. Rules choose by machine, subnet, tag of the subnet or for the site, as
// data. Nothing is cached, so what it says holds at once. ErrNoProfile is an answer: the loader is
// told that there is no file, and tries its next name or boot device.
//
// The parts work alone: Methods is the table of boot methods and Select applies it, Render writes a
// profile for iPXE, GRUB or pxelinux, Loaders finds boot loaders, Timeline makes one record of a
// machine's boot, and package pxe/tftp is the TFTP server.
//
// # DHCP
//
// A DHCP server hands firmware its first file. Package pxe/pxedhcp answers that for dhcpsrv; with
// another server configure what Select says: option 67 (or the file field) with the loader, siaddr
// with this server, and for iPXE (user class "iPXE") the URL http://SERVER:5248/ipxe.cfg.
//
// # Names
//
// TFTP and HTTP share one name space. Names are cleaned first: firmware sends backslashes and
// doubled slashes, and nothing leaves the root.
//
//	shimx64.efi, undionly.kpxe ...           boot loaders, in any case
//	boot/MAC/script.ipxe, grub.cfg ...       a machine's profile
//	boot/MAC/kernel/FILE, boot/MAC/initrd/FILE   files, attributed to the machine
//	boot/MAC/onie-installer                  the installer of a switch
//	boot/MAC/done                            POST: the started system reports
//	images/FILE                              files
//	ipxe.cfg, grub/grub.cfg, pxelinux.cfg/NAME, onie-installer-NAME
//	                                         what loaders ask for by themselves
//
// Who asks is taken from the path, else from what iPXE's links tell, else from the address by
// Config.Identify. A loader that none of these identifies is told to ask again under its own MAC
// address, and a client that cannot do so is resolved without one; no two machines ever share an
// identity.
//
// # Failover
//
// Config.Servers lists the boot servers that a machine can reach. Scripts try each thing some times
// over at the server they came from, then go on with the others, and tell the kernel the addresses
// of the one that it came from. GRUB and iPXE know two others, pxelinux one; U-Boot and ONIE are
// told the list in option 150 by pxedhcp.Config.Servers.
//
// # Conditions
//
// Files up to 64 KiB that go out by HTTP, and loaders up to 8 MiB by TFTP, are kept in memory, 64
// MiB in all, for as long as they do not change; a change is noticed within 100 ms.
//
// One address has at most 32 HTTP requests and 32 TFTP transfers in service; four times as many
// HTTP requests may wait, a minute each. On Linux, Serve ends a connection whose client has taken
// nothing for two minutes. Symbolic links of the file systems given are followed: os.OpenRoot(dir)
// and its FS method make one that none leads out of, os.DirFS does not.
//
// Nil fields of Config mean the defaults stated there, and only Resolver has none. New opens and
// starts nothing. Everything may be used from many goroutines. Two servers can live in one process.
// Events, a function called for every finished request, is all there is to watch; errors name the
// file, the machine or the field, and for a missing loader the package that has it. Clients are
// told "file not found" or "failed", never why.
//
// Values from the network do not become commands: names and variables that a boot loader would
// interpret are refused by Profile.Validate, and quoted.
//
// GRUB as signed by Debian has no http module, so GRUB loads kernel and initrd by TFTP, and UEFI
// HTTP boot is given iPXE, which Secure Boot does not start. Debian's iPXE is 64-bit x86 only;
// loaders of other processors are named in the table and must be provided in a directory, see
// Loaders.
package pxe
