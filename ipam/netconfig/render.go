package netconfig

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Format is a form in which a system reads its network configuration.
type Format string

const (
	Netplan        Format = "netplan"        // Ubuntu's
	CloudInit2     Format = "cloud-init-v2"  // network-config of cloud-init, as netplan
	CloudInit1     Format = "cloud-init-v1"  // the older form, which every version reads
	Networkd       Format = "networkd"       // units of systemd-networkd
	NetworkManager Format = "networkmanager" // keyfiles
	Ifupdown       Format = "ifupdown"       // Debian's /etc/network/interfaces
	Ignition       Format = "ignition"       // with units of systemd-networkd, as Flatcar reads it
	IgnitionNM     Format = "ignition-nm"    // with keyfiles, as Fedora CoreOS reads it
	Kernel         Format = "kernel"         // arguments of the kernel, as dracut reads them
	OpenStack      Format = "openstack"      // network_data.json, as OpenStack's metadata has it
)

// Output is a rendered configuration.
type Output struct {
	Files []File // in order of path
	// Warnings name what the format cannot express, each with its interface.
	Warnings []string
}

// File is a file on the machine. The path of arguments for the kernel is "cmdline".
type File struct {
	Path string
	Mode fs.FileMode
	Text string
}

// renderer collects the output of one format.
type renderer struct {
	Config
	out Output
}

func (r *renderer) file(path string, mode fs.FileMode, text string) {
	r.out.Files = append(r.out.Files, File{path, mode, text})
}

func (r *renderer) warn(i Interface, format string, args ...any) {
	r.out.Warnings = append(r.out.Warnings, fmt.Sprintf("%s: %s", i.Name, fmt.Sprintf(format, args...)))
}

var renderers = map[Format]func(*renderer) error{
	Netplan: (*renderer).netplan, CloudInit2: (*renderer).cloudInit2, CloudInit1: (*renderer).cloudInit1, Networkd: (*renderer).networkd,
	NetworkManager: (*renderer).keyfiles, Ifupdown: (*renderer).ifupdown, Ignition: (*renderer).ignition, IgnitionNM: (*renderer).ignitionNM,
	Kernel: (*renderer).kernel, OpenStack: (*renderer).openStack,
}

// Formats returns all formats in order.
func Formats() []Format {
	var out []Format
	for f := range renderers {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

// Render returns the files of a configuration in a format. A configuration that contradicts itself
// is an *InvalidError.
func Render(c Config, f Format) (Output, error) {
	render := renderers[f]
	if render == nil {
		return Output{}, fmt.Errorf("netconfig: format %q: must be one of %s", f, joined(Formats()))
	}
	if err := c.Check(); err != nil {
		return Output{}, err
	}
	r := &renderer{Config: c}
	if err := render(r); err != nil {
		return Output{}, err
	}
	slices.SortFunc(r.out.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return r.out, nil
}

func joined(formats []Format) string {
	var names []string
	for _, f := range formats {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}
