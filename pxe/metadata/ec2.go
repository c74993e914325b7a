package metadata

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ec2Versions are the first elements of EC2's paths.
var ec2Versions = []string{"latest", "2009-04-04", "1.0"}

// ec2 answers for EC2's paths below a version: user-data, and meta-data/ as a tree of texts. A path
// that ends with a slash is a list of names.
func ec2(in Instance, r request) ([]byte, string, error) {
	switch {
	case r.file == "" || r.file == "/":
		return []byte("meta-data/\nuser-data\n"), textPlain, nil
	case r.file == "user-data":
		if len(in.UserData) == 0 {
			return nil, "", errNoFile
		}
		return in.UserData, textPlain, nil
	case r.file != "meta-data" && !strings.HasPrefix(r.file, "meta-data/"):
		return nil, "", errNoFile
	}
	tree := ec2Tree(in)
	path := strings.Trim(strings.TrimPrefix(r.file, "meta-data"), "/")
	if value, ok := tree[path]; ok {
		return []byte(value), textPlain, nil
	}
	names := namesBelow(tree, path)
	if len(names) == 0 {
		return nil, "", errNoFile
	}
	if path == "public-keys" { // its list has the names of keys behind their numbers
		for i := range names {
			names[i] = strings.TrimSuffix(names[i], "/") + "=key-" + strings.TrimSuffix(names[i], "/")
		}
	}
	return []byte(strings.Join(names, "\n")), textPlain, nil
}

// namesBelow lists the names right below a path, those of further paths with a slash.
func namesBelow(tree map[string]string, path string) (names []string) {
	for key := range tree {
		rest, below := strings.CutPrefix(key, path+"/")
		if path == "" {
			rest, below = key, true
		}
		if !below {
			continue
		}
		if name, _, more := strings.Cut(rest, "/"); more {
			rest = name + "/"
		}
		if !slices.Contains(names, rest) {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return names
}

// ec2Tree holds the texts below meta-data/ by path.
func ec2Tree(in Instance) map[string]string {
	tree := make(map[string]string)
	put := func(key, value string) {
		if value != "" {
			tree[key] = value
		}
	}
	put("instance-id", in.ID)
	name := in.FQDN
	if name == "" {
		name = in.Hostname
	}
	put("hostname", name)
	put("local-hostname", name)
	put("placement/availability-zone", in.Zone)
	for i, key := range in.Keys {
		put("public-keys/"+strconv.Itoa(i)+"/openssh-key", key)
	}
	if len(in.MAC) == 0 {
		return tree
	}
	put("mac", in.MAC.String())
	at := "network/interfaces/macs/" + in.MAC.String() + "/"
	put(at+"mac", in.MAC.String())
	put(at+"device-number", "0")
	put(at+"local-hostname", name)
	v4, v6 := addresses(in.Addrs)
	if len(v4) > 0 {
		put("local-ipv4", v4[0])
	}
	put(at+"local-ipv4s", strings.Join(v4, "\n"))
	put(at+"ipv6s", strings.Join(v6, "\n"))
	return tree
}

// addresses returns the texts of addresses by family.
func addresses(addrs []netip.Addr) (v4, v6 []string) {
	for _, a := range addrs {
		if a.Unmap().Is4() {
			v4 = append(v4, a.Unmap().String())
		} else {
			v6 = append(v6, a.String())
		}
	}
	return v4, v6
}
