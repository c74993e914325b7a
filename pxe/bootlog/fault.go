package bootlog

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is the cause of a failed boot that a line reports.
type Fault struct {
	Name string `json:"name"` // of the kind: "memory", "nic", "dhcp" ...
	Line string `json:"line"` // that reports it
}

// kind is a kind of fault with the texts that report it.
type kind struct {
	name, means string
	texts       [][]string // the parts of a text in their order, in lower case
}

// kinds are the faults, the more telling ones first. A fault by which the network is known to work
// goes before those of the network, which may be of another interface; what follows from all of
// them, such as a panic, is last.
//
// The texts are those of Linux, dracut, klibc's ipconfig, busybox, curl, live-boot, casper,
// debian-installer, Anaconda and linuxrc.
var kinds = []kind{
	{"memory", "there is not enough memory to unpack what it loaded: give it more, or a smaller image; live systems need room for the whole image twice", [][]string{
		{"initramfs unpacking failed: write error"}, {"ramdisk: incomplete write"}, {"kernel panic - not syncing: out of memory"},
		{"kernel panic - not syncing: system is deadlocked on memory"}, {"out of memory and no killable processes"},
		{"wget: short write: no space left on device"}, {"curl: (23)"}, {"failed writing body"}, {"memory size of your system is too small for this live image"},
		{"wget: ", "no space left on device"},
	}},
	{"initrd", "the initrd is corrupt, incomplete or of a format that this kernel cannot unpack: fetch it again, and compare its checksum", [][]string{
		{"initramfs unpacking failed:"}, {"uncompression error"}, {"-- system halted"}, {"ramdisk: couldn't find valid ram disk image"}, {"crc error", "ramdisk"},
	}},
	{"modules", "kernel and initrd are of different releases: set both from the same directory of the mirror, and renew them together", [][]string{
		{"no kernel modules were found"}, {"no packages matching running kernel"}, {"version magic", "should be"}, {"modprobe", "fatal: could not load /lib/modules/"},
		{"modprobe", "can't change directory to '/lib/modules"}, {"modprobe", "could not open moddep file"},
	}},
	{"http", "a server refused a file that it asked for: compare the URLs of its command line with the files that the profile has", [][]string{
		{"the requested url returned error"}, {"server returned error: http/"}, {"curl: (22)"}, {"error 404: not found"}, {"404 not found"}, {"403 forbidden"},
	}},
	{"tls", "it does not trust the certificate of an HTTPS server: its clock is wrong, the initrd lacks the authority, or the URL has another name; HTTP of this rack needs neither", [][]string{
		{"ssl certificate problem"}, {"certificate verify failed"}, {"certificate is not yet valid"}, {"certificate has expired"}, {"unable to get local issuer certificate"},
		{"curl: (60)"}, {"curl: (35)"}, {"curl: (77)"}, {"cannot verify", "certificate"}, {"the certificate of", "is not trusted"}, {"wget: tls error"},
		{"wget: ssl_client"}, {"wget: not an http or ftp url: https"},
	}},
	{"nic", "the started system found no network interface: its kernel or initrd lacks the driver of the card, or the command line names an interface that it does not have", [][]string{
		{"ipconfig: no devices to configure"}, {"ip-config: no network devices available"}, {"no ethernet card was detected"}, {"no network interfaces detected"},
		{"no network interfaces found"}, {"no network interface found"}, {"no network card found"}, {"siocgifindex: no such device"}, {"siocgifflags: no such device"},
		{"ip: siocgifflags: no such device"}, {"ip-config: device", "not found"}, {"netconsole:", "doesn't exist, aborting"}, {"cannot find device \"e"},
		{"ethdetect", "no network"}, {"no network device found"}, {"could not find", "network interface"},
	}},
	{"firmware", "the network card has no firmware in the initrd: add the package of its firmware to it, or boot an image that has it", [][]string{
		{"can't load firmware file"}, {"failed to load firmware \"e100"}, {"failed to load firmware \"bnx"}, {"failed to load firmware file bnx"},
		{"direct firmware load for bnx", "failed"}, {"direct firmware load for tigon", "failed"}, {"direct firmware load for rtl_nic", "failed"},
		{"direct firmware load for ql", "failed"}, {"direct firmware load for cxgb", "failed"}, {"direct firmware load for netronome", "failed"},
	}},
	{"carrier", "the interface that it configures has no link: it is another one than it booted from, or its switch port is not up yet (spanning tree; set portfast)", [][]string{
		{"no carrier detected"}, {"network link not detected"}, {"netcfg", "no link"}, {"no link on"},
	}},
	{"dhcp", "the started system got no address by DHCP: its interface is another one than it booted from, its switch port is not up yet (spanning tree; set portfast), or its VLAN differs", [][]string{
		{"dhcp for interface", "failed"}, {"ip-config: no response after"}, {"ipconfig: no response"}, {"ip-config: auto-configuration of network failed"},
		{"no lease, failing"}, {"no dhcpoffers received"}, {"no working leases in persistent database"}, {"timeout occurred while waiting for network connectivity"},
		{"network autoconfiguration failed"}, {"netcfg", "dhcp", "failed"}, {"dhcpcd", "timed out"}, {"networkmanager", "dhcp", "timed out"},
		{"networkmanager", "reason 'ip-config-unavailable'"}, {"dhcp network configuration failed"}, {"dhcp configuration failed"}, {"network configuration script failed"}, {"wicked", "dhcp4", "timeout"},
	}},
	{"dns", "it cannot resolve a host name of its command line: write an address there, or look at the DNS servers of the subnet", [][]string{
		{"could not resolve host"}, {"wget: bad address"}, {"temporary failure in name resolution"}, {"unable to resolve host address"}, {"curl: (6)"},
	}},
	{"connect", "it reaches no server that it asks for files: the address in its command line, a route or a firewall is wrong", [][]string{
		{"can't connect to remote host"}, {"curl: (7)"}, {"curl: (28)"}, {"wget: download timed out"}, {"connecting to", "failed: "}, {"mount call failed"}, {"mount.nfs:"},
	}},
	{"image", "it did not find its live image: the URL in its command line names another file, or the image is not of the kind that its initrd expects", [][]string{
		{"failed to download live image"}, {"unable to find a live file system on the network"}, {"unable to find a medium containing a live file system"},
		{"could not find the iso"}, {"anaconda: failed to fetch stage2"}, {"failed to fetch stage2"}, {"can't find installer main image path"}, {"repository: not found"},
		{"could not find the", "repository"}, {"squashfs error"}, {"can't find a squashfs superblock"}, {"mounting boot media: failed"},
		{"mounting /dev/loop", "failed"}, {"live image", "does not exist"}, {"unable to locate installation image"},
	}},
	{"root", "the kernel found no root file system: it got no initrd, or one without its root; compare the initrd of the profile, and root= of the command line", [][]string{
		{"vfs: unable to mount root fs"}, {"vfs: cannot open root device"}, {"please append a correct \"root=\" boot option"}, {"no working init found"},
		{"gave up waiting for root"}, {"does not exist.  dropping to a shell"}, {"does not exist. dropping to a shell"}, {"warning: /dev/root does not exist"},
		{"no init found"}, {"requested init", "failed"}, {"can't mount root filesystem"}, {"failed to mount /sysroot"},
	}},
	{"panic", "the kernel panicked", [][]string{{"kernel panic - not syncing"}, {"kernel bug at"}, {"bug: unable to handle"}, {"oops: "}}},
	{"emergency", "its initramfs gave up waiting and started a shell; the lines before say for what it waited", [][]string{
		{"dracut-initqueue", "timeout"}, {"dracut-initqueue", "starting timeout scripts"}, {"warning: could not boot"}, {"entering emergency mode"},
		{"initramfs emergency recovery shell launched"}, {"busybox", "built-in shell (ash)"},
	}},
}

// Faults returns the names of all kinds of fault.
func Faults() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// FaultOf returns the fault that a line reports. Systems log some of these texts without failing,
// as for a second interface without a cable, so a fault explains a boot only if nothing follows it.
func FaultOf(line string) (Fault, bool) {
	lower := strings.ToLower(line)
	for _, k := range kinds {
		for _, parts := range k.texts {
			if inOrder(lower, parts) {
				return Fault{k.name, clean(line)}, true
			}
		}
	}
	return Fault{}, false
}

// mends are the texts that report that a later try succeeded, by the faults that it mends: those of
// the kernel, klibc's ipconfig, udhcpc, dhclient, dhcpcd, systemd-networkd and NetworkManager.
var mends = map[string][][]string{
	"dhcp": {
		{"ip-config: complete"}, {"ip-config:", "complete (dhcp"}, {"udhcpc: lease of", "obtained"}, {"bound to", "renewal in"}, {": leased", "for", "seconds"},
		{"dhcpv4 address"}, {"dhcpv6 address"}, {"dhcp4", "new lease, address="}, {"dhcp4", "-> bound"},
	},
	"carrier": {{"link is up"}, {"link becomes ready"}, {"carrier acquired"}, {"gained carrier"}},
}

// MendedBy reports whether a line that was logged after the fault says that a later try succeeded,
// as when DHCP answers once the switch port forwards.
func (f Fault) MendedBy(line string) bool {
	lower := strings.ToLower(line)
	return slices.ContainsFunc(mends[f.Name], func(parts []string) bool { return inOrder(lower, parts) })
}

// inOrder reports whether a text has all parts, each behind the one before.
func inOrder(text string, parts []string) bool {
	for _, part := range parts {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

// rank returns the place of a kind of fault among kinds.
func rank(name string) int {
	for i, k := range kinds {
		if k.name == name {
			return i
		}
	}
	return len(kinds)
}

// Outranks reports whether f says more about a failed boot than g. The zero Fault says nothing.
func (f Fault) Outranks(g Fault) bool { return rank(f.Name) < rank(g.Name) }

// String explains the fault and quotes its line.
func (f Fault) String() string {
	i := rank(f.Name)
	if i == len(kinds) { // of a newer program
		return fmt.Sprintf("it logged %q", f.Line)
	}
	return fmt.Sprintf("%s; it logged %q", kinds[i].means, f.Line)
}
