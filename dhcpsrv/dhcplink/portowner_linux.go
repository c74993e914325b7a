package dhcplink

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// portOwner names the program that has a UDP port, as ": dnsmasq (pid 123)", or returns "" when
// /proc does not show it.
func portOwner(port int) string {
	inode := udpInode(port)
	if inode == "" {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if to, _ := os.Readlink(link); to == "socket:["+inode+"]" {
			pid := strings.Split(link, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf(": %s (pid %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}

// udpInode returns the inode of a socket bound to a UDP port.
func udpInode(port int) string {
	f, err := os.Open("/proc/thread-self/net/udp")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
			return fields[9]
		}
	}
	return ""
}
