package pxe

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gomaas/maas/pxe/firmware"
)

// Files of installation media by their names there.
const (
	wimboot   = "wimboot"
	windowsBC = "boot/bcd"
	windowsSD = "boot/boot.sdi"
	windowsWM = "sources/boot.wim"
	esxiBoot  = "boot.cfg"
	esxiEFI   = "efi/boot/bootx64.efi"
	esxiBIOS  = "mboot.c32"
)

// needsIPXE reports whether only iPXE boots the kind.
func (p Profile) needsIPXE() bool {
	return slices.Contains([]Kind{ISO, Windows, ESXi}, p.kind())
}

// mediaFiles returns the files that the profile needs.
func (p Profile) mediaFiles() (all []string) {
	switch p.kind() {
	case ISO:
		all = []string{p.Image}
	case Windows:
		all = append(p.below(wimboot, windowsBC, windowsSD, windowsWM), p.Initrd...)
	case ESXi:
		all = p.below(esxiBoot, esxiEFI)
	case Multiboot:
		all = []string{p.Kernel}
		for _, m := range p.Modules {
			all = append(all, m.File)
		}
	}
	return all
}

// below returns files of Dir.
func (p Profile) below(names ...string) (all []string) {
	for _, n := range names {
		all = append(all, path.Join(p.Dir, n))
	}
	return all
}

// validateMedia checks the kinds that boot an installation medium, and Multiboot.
func (p Profile) validateMedia() error {
	if p.needsIPXE() && p.Loader != "" && p.Loader != firmware.IPXE {
		return fmt.Errorf("loader is %s, and kind %s needs iPXE; set loader to ipxe, or leave it out", p.Loader, p.kind())
	}
	switch p.kind() {
	case ISO:
		if err := p.validateOwn("image", p.Image); err != nil {
			return err
		}
	case Windows, ESXi:
		if err := p.validateOwn("dir", p.Dir); err != nil {
			return err
		}
		for i, f := range p.Initrd {
			if err := validateFile(fmt.Sprintf("initrd[%d]", i), f); err != nil {
				return err
			}
		}
	case Multiboot:
		if err := validateFile("kernel", p.Kernel); err != nil {
			return err
		}
		for i, m := range p.Modules {
			if err := validateFile(fmt.Sprintf("modules[%d].file", i), m.File); err != nil {
				return err
			}
			if err := p.validateText(m.Cmdline); err != nil {
				return fmt.Errorf("modules[%d]: %w", i, err)
			}
		}
	}
	return p.validateText(p.Cmdline)
}

// validateOwn accepts a file or directory of our own, whose name can stand in a command line.
func (p Profile) validateOwn(field, name string) error {
	switch {
	case isURL(name):
		return fmt.Errorf("%s is a URL of another server; put it into the files served", field)
	case strings.ContainsAny(name, "{}"):
		return fmt.Errorf("%s is %q: braces cannot be given to kernels; rename it", field, name)
	}
	return validateFile(field, name)
}

// maxBootConfig bounds a boot.cfg of ESXi, which names some 100 modules.
const maxBootConfig = 64 << 10

// esxiConfig rewrites a boot.cfg for the network: files are looked for below prefix, and options
// are added to the kernel's. Paths that would leave the directory are refused.
func esxiConfig(text, prefix, options string) (string, error) {
	var out strings.Builder
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		if !ok || strings.HasPrefix(key, "#") {
			fmt.Fprintln(&out, line)
			continue
		}
		seen[key] = true
		switch key {
		case "prefix":
			continue
		case "kernel", "modules":
			files, err := esxiFiles(value)
			if err != nil {
				return "", fmt.Errorf("%s: %w", key, err)
			}
			value = files
		case "kernelopt":
			// The installer would look for its files on a CD.
			value = strings.Join(slices.DeleteFunc(strings.Fields(value), func(o string) bool { return o == "cdromBoot" }), " ")
			value = strings.TrimSpace(value + " " + options)
		}
		fmt.Fprintf(&out, "%s=%s\n", key, value)
	}
	if !seen["kernel"] || !seen["modules"] {
		return "", errors.New("it has no line kernel= or modules=, as the boot.cfg of an installation medium has")
	}
	if !seen["kernelopt"] && options != "" {
		fmt.Fprintf(&out, "kernelopt=%s\n", options)
	}
	return "prefix=" + prefix + "\n" + out.String(), nil
}

// esxiFiles makes the names of a line relative. They are separated by three dashes.
func esxiFiles(value string) (string, error) {
	parts := strings.Split(value, "---")
	for i, part := range parts {
		name, arguments, _ := strings.Cut(strings.TrimSpace(part), " ")
		clean := strings.TrimPrefix(name, "/")
		if clean == "" || strings.ContainsAny(clean, `\:`) || path.Clean(clean) != clean || strings.HasPrefix(clean, "..") || strings.HasPrefix(clean, "/") {
			return "", fmt.Errorf("%q leaves its directory, or is no name; correct boot.cfg", name)
		}
		parts[i] = strings.TrimSpace(clean + " " + arguments)
	}
	return strings.Join(parts, " --- "), nil
}
