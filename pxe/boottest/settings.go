package boottest

import (
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// setting runs the commands about settings.
func (s *ipxeScript) setting(command string, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s: arguments are missing", command)
	}
	name, _, _ := strings.Cut(args[0], ":")
	switch command {
	case "set":
		s.settings[name] = clip(strings.Join(args[1:], " "))
	case "clear":
		delete(s.settings, name)
	case "inc":
		step := 1
		if len(args) > 1 {
			step, _ = strconv.Atoi(args[1])
		}
		n, _ := strconv.Atoi(s.settings[name])
		s.settings[name] = strconv.Itoa(n + step)
	case "iseq":
		if len(args) != 2 || args[0] != args[1] {
			return fmt.Errorf("iseq %s: not equal", strings.Join(args, " "))
		}
	case "isset":
		return nil // an unset setting expands to nothing, and then there is no argument
	}
	return nil
}

const (
	maxReferences = 100     // to settings in one line
	maxValue      = 4 << 10 // bytes of one value, so that a script cannot double it for ever
)

func clip(value string) string { return clipTo(value, maxValue) }

func clipTo(s string, n int) string { return s[:min(len(s), n)] }

// expand replaces ${name}, innermost first.
func (s *ipxeScript) expand(line string) string {
	for range maxReferences {
		end := strings.IndexByte(line, '}')
		if end < 0 {
			return line
		}
		start := strings.LastIndex(line[:end], "${")
		if start < 0 {
			return line
		}
		line = line[:start] + s.value(line[start+2:end]) + line[end+1:]
	}
	return line
}

// value returns a setting in the format after its colon.
func (s *ipxeScript) value(ref string) string {
	name, format, _ := strings.Cut(ref, ":")
	if v, ok := s.settings[name]; ok {
		return v
	}
	base := name
	if i := strings.LastIndexByte(name, '/'); i >= 0 { // net0/mac, netX/mac, next-server from net0
		base = name[i+1:]
	}
	switch base {
	case "mac":
		return formatMAC(s.cfg.MAC, format)
	case "uuid":
		return formatUUID(s.cfg.UUID)
	case "platform":
		if s.fw.EFI {
			return "efi"
		}
		return "pcbios"
	case "buildarch":
		if s.fw.EFI {
			_, cpu := s.fw.cpu()
			return cpu
		}
		return "i386"
	}
	return s.leaseValue(base)
}

// leaseValue returns the settings that DHCP gave.
func (s *ipxeScript) leaseValue(name string) string {
	if s.offline {
		return ""
	}
	switch name {
	case "ip":
		return s.lease.Addr.String()
	case "netmask":
		return net.IP(s.lease.Mask).String()
	case "dhcp-server":
		return s.lease.Server.String()
	case "next-server":
		return s.lease.NextServer.String()
	case "filename":
		return s.lease.BootFile
	case "hostname":
		return s.lease.Hostname
	case "domain":
		return s.lease.Domain
	case "gateway":
		if len(s.lease.Routers) > 0 {
			return s.lease.Routers[0].String()
		}
	case "dns":
		if len(s.lease.DNS) > 0 {
			return s.lease.DNS[0].String()
		}
	}
	return ""
}

func formatMAC(mac net.HardwareAddr, format string) string {
	switch format {
	case "hexhyp":
		return strings.ReplaceAll(mac.String(), ":", "-")
	case "hexraw":
		return hex.EncodeToString(mac)
	}
	return mac.String()
}

// formatUUID writes a UUID of SMBIOS, whose first three fields are little-endian.
func formatUUID(u [16]byte) string {
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x", u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8:10], u[10:])
}
