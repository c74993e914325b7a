package images

// distributionKeys says where the keys of most distributions are.
const distributionKeys = "/usr/share/distribution-gpg-keys/"

// Sources returns the descriptions of the distributions that are known, by their documentation.
// Each call returns a new list, which the caller may change and add to.
func Sources() []Source {
	redhat := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}
	tree := map[string]string{"kernel": "images/pxeboot/vmlinuz", "initrd": "images/pxeboot/initrd.img"}
	return []Source{
		{
			Name: "debian", Base: "http://ftp.debian.org/debian", Latest: "12",
			Releases: map[string]string{"11": "bullseye", "12": "bookworm", "13": "trixie"},
			Documents: []Document{
				{Path: "dists/{release}/InRelease", Signed: true, Line: "Codename: {release}"},
				{Path: "dists/{release}/main/installer-{arch}/current/images/SHA256SUMS"},
			},
			Files: map[string]string{
				"kernel": "dists/{release}/main/installer-{arch}/current/images/netboot/debian-installer/{arch}/linux",
				"initrd": "dists/{release}/main/installer-{arch}/current/images/netboot/debian-installer/{arch}/initrd.gz",
			},
			Keys: []string{"/usr/share/keyrings/debian-archive-keyring.gpg"}, Cure: "install debian-archive-keyring",
		},
		{
			Name: "ubuntu", Base: "https://images.maas.io/ephemeral-v3/stable", Latest: "24.04", Index: "streams/v1/index.sjson",
			Match: map[string]string{"kflavor": "generic", "subarch": "ga-{release}", "os": "ubuntu"},
			Files: map[string]string{"kernel": "boot-kernel", "initrd": "boot-initrd", "filesystem.squashfs": "squashfs"},
			Keys:  []string{"/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg"}, Cure: "install ubuntu-keyring",
		},
		{
			// The checksums of .treeinfo have no signature of their own: TLS to the mirror protects
			// them.
			Name: "fedora", Base: "https://dl.fedoraproject.org/pub/fedora/linux/releases/{release}/Everything/{arch}/os", Arches: redhat,
			Documents: []Document{{Path: ".treeinfo"}}, Files: tree,
		},
		{
			Name: "almalinux", Base: "https://repo.almalinux.org/almalinux/{release}/BaseOS/{arch}/os", Latest: "9", Arches: redhat,
			Documents: []Document{{Path: ".treeinfo"}}, Files: tree,
		},
		{
			Name: "opensuse", Base: "https://download.opensuse.org/distribution/leap/{release}/repo/oss", Latest: "15.6", Arches: redhat,
			Documents: []Document{{Path: "CHECKSUMS", Signature: "CHECKSUMS.asc"}},
			Files:     map[string]string{"kernel": "boot/{arch}/loader/linux", "initrd": "boot/{arch}/loader/initrd"},
			Keys:      []string{distributionKeys + "suse/RPM-GPG-KEY-openSUSE-Leap-15.6", distributionKeys + "opensuse/RPM-GPG-KEY-openSUSE"},
			Cure:      "install distribution-gpg-keys, or name a keyring with --key",
		},
		{
			// Single files have no checksums; the archive with all of them has a signature.
			Name: "alpine", Base: "https://dl-cdn.alpinelinux.org/alpine", Arches: redhat,
			Archive: "v{branch}/releases/{arch}/alpine-netboot-{release}-{arch}.tar.gz", Signature: ".asc",
			Files: map[string]string{"kernel": "boot/vmlinuz-lts", "initrd": "boot/initramfs-lts", "modloop": "boot/modloop-lts"},
			Keys:  []string{distributionKeys + "alpine-linux/alpine-ncopa.asc", "/usr/share/keyrings/alpine-ncopa.asc"},
			Cure:  "fetch ncopa.asc from the project's download page, and name it with --key",
		},
		{
			Name: "flatcar", Base: "https://{release}.release.flatcar-linux.net/{arch}-usr/current", Latest: "stable", Signature: ".sig",
			Files: map[string]string{"kernel": "flatcar_production_pxe.vmlinuz", "initrd": "flatcar_production_pxe_image.cpio.gz"},
			Keys:  []string{distributionKeys + "flatcar/Flatcar_Image_Signing_Key.asc", "/usr/share/keyrings/flatcar.asc"},
			Cure:  "fetch Flatcar_Image_Signing_Key.asc from the project's page, and name it with --key",
		},
		{
			Name: "talos", Base: "https://github.com/siderolabs/talos/releases/download/{release}",
			Documents: []Document{{Path: "sha256sum.txt"}},
			Files:     map[string]string{"kernel": "vmlinuz-{arch}", "initrd": "initramfs-{arch}.xz"},
		},
	}
}
