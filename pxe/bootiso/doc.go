// Package bootiso makes ISO 9660 images that BIOS and UEFI firmware boot, for virtual CD drives and
// for machines whose network has no boot server.
//
//	image, err := bootiso.New(bootiso.Content{
//		Volume: "MAAS",
//		Files:  []bootiso.File{bootiso.Bytes("boot/grub/grub.cfg", config), {Name: "boot/vmlinuz", Size: size, From: kernel}},
//		BIOS:   "isolinux/isolinux.bin",
//		ESP:    []bootiso.File{bootiso.Bytes("EFI/BOOT/BOOTX64.EFI", shim)},
//	})
//	if err != nil {
//		return err
//	}
//	http.ServeContent(w, r, "boot.iso", time.Time{}, image.Reader())
//
// An image is put together as it is read: its files stay where they are, and nothing is copied to
// disk. Firmware finds its program by the El Torito catalog. For BIOS that is a file of the image,
// loaded without emulation of a disk, such as ISOLINUX; for UEFI a FAT file system, the EFI system
// partition, which holds EFI/BOOT/BOOTX64.EFI and the like.
//
// Names are in capitals in the image, as ISO 9660 has them, and loaders find them in any case.
// There are no Rock Ridge and no Joliet names, no files of 4 GiB, and no directory of more than
// some forty files.
//
// An Image may be read concurrently if its files may.
package bootiso
