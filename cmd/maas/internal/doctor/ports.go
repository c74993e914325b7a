package doctor

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// program is the name of this program in the kernel's process list.
const program = "maas"

// lookAtPorts looks who has the ports of the roles that this host has.
func lookAtPorts(cfg Config, f Facts, remote bool) []Port {
	var ports []Port
	if f.Rack {
		ports = []Port{
			{What: "DHCP", Net: "udp", Port: 67}, {What: "TFTP", Net: "udp", Port: 69}, {What: "DNS", Net: "udp", Port: cfg.DNSPort},
			{What: "DNS", Net: "tcp", Port: cfg.DNSPort}, {What: "HTTP boot", Net: "tcp", Port: cfg.HTTPPort},
			{What: "boot logs", Net: "udp", Port: cfg.SyslogPort},
		}
	}
	if !remote {
		ports = append(ports, Port{What: "API", Net: "tcp", Port: 5240})
	}
	var own []netip.Addr
	for _, l := range f.Links {
		for _, p := range l.Addrs {
			own = append(own, p.Addr())
		}
	}
	owners := socketOwners("/proc")
	for i := range ports {
		p := &ports[i]
		for _, file := range []string{p.Net, p.Net + "6"} {
			data, _ := os.ReadFile("/proc/net/" + file) // a host may have no IPv6
			for _, s := range listeners(string(data), p.Port) {
				if !s.addr.IsUnspecified() && !slices.Contains(own, s.addr.Unmap()) {
					continue // such as systemd-resolved on 127.0.0.53
				}
				by := owners[s.inode]
				if by == "" {
					by = "another program"
				}
				p.Ours = p.Ours || by == program
				if !slices.Contains(p.By, by) {
					p.By = append(p.By, by)
				}
			}
		}
	}
	return ports
}

// servedAt reports whether a program listens at a port of an address, by the kernel's tables.
func servedAt(network string, port int, addr netip.Addr) bool {
	for _, file := range []string{network, network + "6"} {
		data, _ := os.ReadFile("/proc/net/" + file) // a host may have no IPv6
		for _, s := range listeners(string(data), port) {
			if s.addr.IsUnspecified() || s.addr.Unmap() == addr {
				return true
			}
		}
	}
	return false
}

// socket is one that listens.
type socket struct {
	addr  netip.Addr
	inode string
}

// Columns of /proc/net/udp and its like, and the states of sockets that take what comes.
const (
	colLocal, colState, colInode = 1, 3, 9
	tcpListen, udpUnconnected    = "0A", "07"
)

// listeners reads a table of the kernel.
func listeners(table string, port int) (out []socket) {
	for line := range strings.Lines(table) {
		cols := strings.Fields(line)
		if len(cols) <= colInode || cols[colState] != tcpListen && cols[colState] != udpUnconnected {
			continue
		}
		host, text, _ := strings.Cut(cols[colLocal], ":")
		n, err := strconv.ParseUint(text, 16, 16)
		addr, ok := kernelAddr(host)
		if err == nil && ok && int(n) == port {
			out = append(out, socket{addr, cols[colInode]})
		}
	}
	return out
}

// kernelAddr reads an address as the kernel prints it: words of four bytes in the order of a
// little-endian machine.
func kernelAddr(text string) (netip.Addr, bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	return netip.AddrFromSlice(b)
}

// socketOwners are the names of programs by the inodes of their sockets, as far as this user may
// see.
func socketOwners(proc string) map[string]string {
	out := map[string]string{}
	fds, _ := filepath.Glob(proc + "/[0-9]*/fd/*") // the pattern is good
	names := map[string]string{}
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		inode, is := strings.CutPrefix(to, "socket:[")
		if err != nil || !is {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		if names[dir] == "" {
			comm, err := os.ReadFile(dir + "/comm")
			if err != nil {
				continue
			}
			names[dir] = strings.TrimSpace(string(comm))
			if exe, err := os.Readlink(dir + "/exe"); err == nil && isProgram(exe) {
				names[dir] = program
			}
		}
		if name := names[dir]; name == program {
			out[strings.TrimSuffix(inode, "]")] = program
		} else {
			out[strings.TrimSuffix(inode, "]")] = fmt.Sprintf("%s (process %s)", name, filepath.Base(dir))
		}
	}
	return out
}

// isProgram reports whether a process runs the program that this one is.
func isProgram(exe string) bool {
	exe = strings.TrimSuffix(exe, " (deleted)") // as after an upgrade
	own, err := os.Executable()
	return err == nil && (exe == own || filepath.Base(exe) == program)
}
