package pxe

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/pxe/firmware"
)

// Variables returns what {name} in a command line is replaced with for this request: mac, bootif
// (01- and the MAC with dashes), uuid, ip, server, http (base URL), done (URL to report to when
// running), metadata (URL of package pxe/metadata for the machine, with a slash at its end), syslog
// (address and port that take what the machine logs, empty if none does), arch, profile, and
// http_proxy and network_config (see metadata.Argument), which are empty unless Vars has them.
// Facts that are not known are empty.
func Variables(p Profile, r Request, at firmware.Endpoint) map[string]string {
	vars := maps.Clone(p.Vars)
	if vars == nil {
		vars = make(map[string]string)
	}
	for _, name := range []string{"http_proxy", "network_config"} {
		if _, ok := vars[name]; !ok {
			vars[name] = "" // empty here: the region or the embedder sets it in the profile
		}
	}
	vars["mac"] = r.MAC.String()
	vars["bootif"] = ""
	if len(r.MAC) > 0 {
		vars["bootif"] = "01-" + firmware.FormatMAC(r.MAC)
	}
	vars["uuid"] = r.UUID
	vars["ip"], vars["server"] = "", ""
	if r.Addr.IsValid() {
		vars["ip"] = r.Addr.Unmap().WithZone("").String()
	}
	if at.Addr.IsValid() {
		vars["server"] = at.Addr.Unmap().WithZone("").String()
	}
	vars["http"] = at.URL()
	vars["done"] = at.URL() + "/boot/" + pathID(r) + "/done"
	vars["metadata"] = at.URL() + "/metadata/" + pathID(r) + "/"
	if at.Nonce != "" {
		vars["done"] += "/" + at.Nonce
		vars["metadata"] += at.Nonce + "/"
	}
	vars["syslog"] = ""
	if at.Addr.IsValid() && at.SyslogPort != 0 {
		vars["syslog"] = netip.AddrPortFrom(at.Addr.Unmap().WithZone(""), uint16(at.SyslogPort)).String()
	}
	vars["arch"] = r.Arch.String()
	vars["profile"] = p.Name
	return vars
}

// expand replaces {name} for every name of vars. Braces around anything that is not written like a
// name stay, since cloud-init and others use them.
func expand(text string, vars map[string]string) (string, error) {
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '{')
		if i < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		out.WriteString(text[:i])
		text = text[i:]
		end := strings.IndexByte(text, '}')
		if end < 0 || !isVariable(text[1:end]) {
			out.WriteByte('{')
			text = text[1:]
			continue
		}
		v, ok := vars[text[1:end]]
		if !ok {
			return "", fmt.Errorf("cmdline: there is no variable {%s}; known are %s", text[1:end],
				strings.Join(slices.Sorted(maps.Keys(vars)), ", "))
		}
		out.WriteString(v)
		text = text[end+1:]
	}
}

func isVariable(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != ""
}

// validateCmdline checks a command line with its variables standing for nothing.
func validateCmdline(cmdline string, vars map[string]string) error {
	known := Variables(Profile{Vars: vars}, Request{}, firmware.Endpoint{})
	text, err := expand(cmdline, known)
	if err != nil {
		return err
	}
	_, err = arguments(text)
	return err
}

// arguments splits an expanded command line at spaces and refuses what a loader would take for its
// own syntax: iPXE has no quoting.
func arguments(text string) ([]string, error) {
	if err := printable("cmdline", text); err != nil {
		return nil, err
	}
	args := strings.Fields(text)
	for _, a := range args {
		if a == "||" || a == "&&" || a[0] == '#' || strings.Contains(a, "${") {
			return nil, fmt.Errorf("cmdline: boot loaders would not pass %q on to the kernel", a)
		}
	}
	return args, nil
}
