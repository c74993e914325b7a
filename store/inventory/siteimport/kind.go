package siteimport

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Kind is a kind of servers, or of files, whose configurations can be read.
type Kind struct {
	Name  string
	Reads string // what is read, for people

	// names are patterns of path.Match for the usual names of its files: a directory is searched
	// for them.
	names []string
	// looks matches the text of its files. Kinds are tried in the order of the table, so that a
	// kind with a loose form is after those with a strict one.
	looks *regexp.Regexp
	read  func(b *builder, s *source, files []string) error
}

// Kinds are the kinds of configurations that can be read, in the order in which they are
// recognized.
func Kinds() []Kind {
	return []Kind{
		{
			Name: "dhcpd", Reads: "dhcpd.conf and dhcpd.leases of ISC dhcpd, of IPv4 and IPv6",
			names: []string{"dhcpd.conf", "dhcpd6.conf", "dhcpd.leases", "dhcpd6.leases"},
			looks: regexp.MustCompile(`(?m)^\s*(subnet\s+[\d.]+\s+netmask|subnet6\s+[\da-fA-F:]+/|shared-network\s|lease\s+[\d.]+\s*\{|ia-(na|ta|pd)\s+"|host\s+\S+\s*\{|(default|max)-lease-time\s|authoritative\s*;|ddns-update-style\s)`),
			read:  readDhcpd,
		},
		{
			Name: "kea", Reads: "kea-dhcp4.conf and kea-dhcp6.conf of Kea, and the lease files of its memfile backend",
			names: []string{"kea-dhcp4.conf", "kea-dhcp6.conf", "kea-leases4.csv*", "kea-leases6.csv*", "kea-dhcp4.json", "kea-dhcp6.json"},
			looks: regexp.MustCompile(`"Dhcp[46]"\s*:|\Aaddress,(hwaddr|duid),`),
			read:  readKea,
		},
		{
			Name: "dnsmasq", Reads: "dnsmasq.conf with the files that it names, and dnsmasq.leases",
			names: []string{"dnsmasq.conf", "dnsmasq.leases", "*.dnsmasq"},
			looks: regexp.MustCompile(dnsmasqLine.String() + "|" + dnsmasqLease.String()),
			read:  readDnsmasq,
		},
		{
			Name: "bind", Reads: "named.conf of BIND with its zone files, and zone files by themselves",
			names: []string{"named.conf"},
			looks: regexp.MustCompile(`(?m)^\s*(zone\s+"[^"]+"[^{\n]*\{|options\s*\{|view\s+"?\S+\s*(in\s*)?\{)|(?im)^\S*(\s+\d\w*)?(\s+IN)?(\s+\d\w*)?\s+SOA\s`),
			read:  readBind,
		},
		{
			Name: "netbox", Reads: "NetBox by its URL, or JSON with lists: " + strings.Join(netboxModels, ", "),
			looks: regexp.MustCompile(`"(prefixes|ip_ranges|ip_addresses|ip-addresses|ip-ranges)"\s*:\s*\[|"url"\s*:\s*"[^"]*/api/(ipam|dcim|virtualization)/`),
			read:  readNetBox,
		},
		{
			Name: "maas", Reads: "MAAS by its URL, or JSON lists of its API in files named after them, such as subnets.json",
			names: []string{"fabrics.json", "subnets.json", "ipranges.json", "static-routes.json", "domains.json", "dnsresources.json", "dnsresourcerecords.json",
				"reservedips.json", "ipaddresses.json", "spaces.json", "zones.json", "resourcepools.json", "tags.json", "machines.json", "devices.json", "dhcp-snippets.json"},
			looks: regexp.MustCompile(`"resource_uri"\s*:\s*"/MAAS/api/2.0/`),
			read:  readMAAS,
		},
		{
			Name: "csv", Reads: "tables with a header: columns " + strings.Join(csvColumnNames(), ", "),
			names: []string{"*.csv", "*.tsv"},
			read:  readCSV,
		},
		{
			Name: "hosts", Reads: "hosts files: an address and its names in each line",
			names: []string{"hosts"},
			looks: hostsLine,
			read:  readHostsFiles,
		},
	}
}

// headBytes bounds the text by which a file is recognized: licenses at the top of a configuration
// have some kilobytes.
const headBytes = 64 << 10

// kindOf returns the named kind, or the kind of the first file that is recognized.
func kindOf(fsys fs.FS, name string, files []string) (Kind, error) {
	all := Kinds()
	if name != "" {
		if at := slices.IndexFunc(all, func(k Kind) bool { return k.Name == name }); at >= 0 {
			return all[at], nil
		}
		return Kind{}, fmt.Errorf("siteimport: kind %q is none of %s", name, strings.Join(kindNames(), ", "))
	}
	for _, file := range files {
		head, err := head(fsys, file)
		if err != nil {
			return Kind{}, err
		}
		for _, k := range all {
			if k.named(file) {
				return k, nil
			}
		}
		for _, k := range all {
			if k.looks != nil && k.looks.MatchString(head) {
				return k, nil
			}
		}
	}
	return Kind{}, fmt.Errorf("%s: the kind is not recognized; name it with --from: %s", strings.Join(files, ", "), strings.Join(kindNames(), ", "))
}

func kindNames() (names []string) {
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// named reports whether a file has one of the kind's usual names.
func (k Kind) named(file string) bool {
	return slices.ContainsFunc(k.names, func(pattern string) bool {
		ok, _ := path.Match(pattern, path.Base(file))
		return ok
	})
}

func head(fsys fs.FS, file string) (string, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, headBytes))
	return string(data), err
}

// expand returns the files that names stand for: of a directory those with a usual name of the
// kind, or of the first kind that has some there.
func expand(fsys fs.FS, kind string, names []string) (files []string, err error) {
	if len(names) == 0 {
		return nil, errors.New("siteimport: no file is named")
	}
	for _, name := range names {
		name = clean(name)
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		found, err := filesIn(fsys, kind, name)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

// Files returns the files that Read reads for names, before those that they include: a directory
// stands for the files in it that belong to the kind.
func Files(fsys fs.FS, kind string, names ...string) ([]string, error) {
	return expand(fsys, kind, names)
}

func filesIn(fsys fs.FS, kind, dir string) (files []string, err error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, k := range Kinds() {
		if kind != "" && k.Name != kind {
			continue
		}
		for _, e := range entries {
			if !e.IsDir() && k.named(e.Name()) {
				files = append(files, path.Join(dir, e.Name()))
			}
		}
		if len(files) > 0 {
			return files, nil
		}
	}
	return nil, fmt.Errorf("%s: the directory has no configuration under its usual name; name the file", dir)
}
