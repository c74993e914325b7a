package siteverify

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// programs prepare the servers of each kind in a directory: with copies of what they write, and
// without what would reach outside of the namespace.
var programs = map[string]prepare{"dhcpd": prepareDhcpd, "kea": prepareKea, "dnsmasq": prepareDnsmasq}

// programs6 are those of IPv6. dnsmasq has one program for both, which knows the networks of
// its interfaces alone.
var programs6 = map[string]prepare{"dhcpd": prepareDhcpd6, "kea": prepareKea6}

// prepare returns how a server is run.
type prepare func(dir string, files []string) (running, error)

// split tells lease files from configurations by their name, as all servers have them, and returns
// the one of a family.
func split(files []string, six bool) (confs []string, leases string, err error) {
	for _, f := range files {
		if !strings.Contains(strings.ToLower(filepath.Base(f)), "lease") {
			confs = append(confs, f)
			continue
		}
		raw, err := os.ReadFile(f)
		if err != nil {
			return nil, "", err
		}
		if leases6.Match(raw) == six {
			leases = f
		}
	}
	return confs, leases, nil
}

// leases6 matches what lease files of IPv6 alone have: columns of Kea, and entries of dhcpd.
var leases6 = regexp.MustCompile(`(?m)^(address,duid,|ia-(na|ta|pd) )`)

// copied copies a lease file: the server rewrites its own.
func copied(from, to string) error {
	var data []byte
	if from != "" {
		raw, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		data = raw
	}
	return os.WriteFile(to, data, 0o600)
}

// maxIncluded bounds the text of a configuration with its included files.
const maxIncluded = 64 << 20

// dhcpdText adds a configuration of dhcpd and the files that it includes, without comments. An
// error says what would reach outside of the namespace: programs that dhcpd runs, and a partner.
func dhcpdText(out *strings.Builder, file string, depth int) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if depth > 16 || out.Len() > maxIncluded {
		return fmt.Errorf("%s: files are included too deep, or the configuration is too large", file)
	}
	raw = dhcpdOutside.ReplaceAll(raw, []byte("$1"))
	last := "" // word; dhcpd does not distinguish upper case
	for _, token := range dhcpdToken.FindAllString(string(raw), -1) {
		word := strings.ToLower(token)
		switch {
		case token[0] == '#':
			token = "\n"
		case word == "execute", last == "failover" && word == "peer":
			return errNotRun(fmt.Sprintf("%s has %q, which reaches outside of a namespace", file, strings.TrimSpace(last+" "+word)))
		case word == "include":
			token = "" // the text of the file follows
		case last == "include" && token[0] == '"':
			if err := dhcpdText(out, named(file, strings.Trim(token, `"`)), depth+1); err != nil {
				return err
			}
			token, word = "", "included"
		case last == "included" && token == ";":
			token = ""
		}
		out.WriteString(token)
		if strings.TrimSpace(word) != "" && word[0] != '#' {
			last = word
		}
	}
	return nil
}

// named is the path of a file that another one names.
func named(by, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(by), name)
}

// dhcpdOutside matches statements at the start of a line that name what the namespace does not
// have: interfaces of subnets, and files of the real server, which win over those of the command
// line.
var dhcpdOutside = regexp.MustCompile(`(?mi)^(\s*)(interface\s+"?[\w.-]+"?|(dhcpv6-)?(lease|pid)-file-name\s+"[^"]*")\s*;`)

// dhcpdToken matches a comment, a string, a word, a space or one other character.
var dhcpdToken = regexp.MustCompile(`#[^\n]*|"(?:[^"\\]|\\.)*"|[A-Za-z0-9_.:-]+|\s+|(?s:.)`)

func prepareDhcpd(dir string, files []string) (running, error) {
	return dhcpdOf(dir, files, false, fmt.Sprintf("ping-check false;\nsubnet %s netmask 255.255.255.252 { }\n", cable.Addr()))
}

func prepareDhcpd6(dir string, files []string) (running, error) {
	return dhcpdOf(dir, files, true, fmt.Sprintf("subnet6 %s { }\n", cable6))
}

// subnet6 matches the statement that configurations of IPv6 have, and those of IPv4 must not have.
var subnet6 = regexp.MustCompile(`(?mi)^[^#"]*\bsubnet6\s`)

// dhcpdOf prepares dhcpd for a family, of which a configuration is. The network of the cable must
// be declared, or dhcpd does not listen on it.
func dhcpdOf(dir string, files []string, six bool, wrapper string) (running, error) {
	confs, leases, err := split(files, six)
	if err != nil {
		return running{}, err
	}
	var text strings.Builder
	text.WriteString(wrapper)
	found := false
	for _, c := range confs {
		var one strings.Builder
		if err := dhcpdText(&one, c, 0); err != nil {
			return running{}, err
		}
		if subnet6.MatchString(one.String()) == six {
			text.WriteString(one.String())
			found = true
		}
	}
	if !found {
		return running{}, errNotRun("no configuration of its family is named")
	}
	conf, lf := filepath.Join(dir, "dhcpd.conf"), filepath.Join(dir, "dhcpd.leases")
	family := "-4"
	if six {
		family = "-6"
	}
	if err := errors.Join(os.WriteFile(conf, []byte(text.String()), 0o600), copied(leases, lf)); err != nil {
		return running{}, err
	}
	return running{
		args:  []string{"dhcpd", family, "-f", "-d", "--no-pid", "-cf", conf, "-lf", lf, "eth0"},
		ready: regexp.MustCompile(`Server starting service`),
		noise: regexp.MustCompile(`^(\s|Configuration file errors|exiting\.|This version|bug on|before|than a|process|and send|the README|bugs on|If you)`),
	}, nil
}

func prepareKea(dir string, files []string) (running, error) { return keaOf(dir, files, "4") }

func prepareKea6(dir string, files []string) (running, error) { return keaOf(dir, files, "6") }

// keaOf prepares the server of a family, of which a configuration is.
func keaOf(dir string, files []string, family string) (running, error) {
	confs, leases, err := split(files, family == "6")
	if err != nil {
		return running{}, err
	}
	name := "Dhcp" + family
	var whole map[string]any
	for _, c := range confs {
		text, err := plainJSON(c, 0)
		if err != nil {
			return running{}, err
		}
		var one map[string]any
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			return running{}, fmt.Errorf("%s: %w", c, err)
		}
		if _, ok := one[name].(map[string]any); ok {
			whole = one
		}
	}
	if whole == nil {
		return running{}, errNotRun("no configuration of " + name + " is named")
	}
	server := whole[name].(map[string]any)
	program := "kea-dhcp" + family
	lf := filepath.Join(dir, "kea-leases"+family+".csv")
	// Sockets, databases and hooks of the real one are left alone.
	for _, key := range []string{"control-socket", "control-sockets", "hooks-libraries", "hosts-database", "hosts-databases", "config-control", "dhcp-ddns"} {
		delete(server, key)
	}
	server["interfaces-config"] = map[string]any{"interfaces": []string{"eth0"}, "dhcp-socket-type": "udp"}
	if family == "6" {
		server["interfaces-config"] = map[string]any{"interfaces": []string{"eth0", "eth0/" + serverAddr6.String()}}
		server["data-directory"] = dir // of its DUID
	}
	server["lease-database"] = map[string]any{"type": "memfile", "persist": true, "name": lf, "lfc-interval": 0}
	server["loggers"] = []any{map[string]any{"name": program, "severity": "INFO", "output_options": []any{map[string]any{"output": "stdout", "flush": true}}}}
	withoutInterfaces(server)
	text, err := json.Marshal(map[string]any{name: server})
	if err != nil {
		return running{}, err
	}
	conf := filepath.Join(dir, program+".conf")
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		return running{}, err
	}
	if leases != "" {
		if err := copied(leases, lf); err != nil {
			return running{}, err
		}
	}
	return running{
		args: []string{program, "-c", conf}, env: []string{"KEA_PIDFILE_DIR=" + dir, "KEA_LOCKFILE_DIR=" + dir},
		ready: regexp.MustCompile(`DHCP` + family + `_STARTED`), noise: regexp.MustCompile(` (INFO|DEBUG) `),
	}, nil
}

// withoutInterfaces removes the interfaces of networks and subnets, which the namespace does not
// have.
func withoutInterfaces(value any) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "interface")
		for _, in := range v {
			withoutInterfaces(in)
		}
	case []any:
		for _, in := range v {
			withoutInterfaces(in)
		}
	}
}

var keaInclude = regexp.MustCompile(`<\?include\s+"([^"]+)"\?>`)

// plainJSON returns a configuration of Kea as JSON: without comments and spare commas, and with the
// files that it includes.
func plainJSON(file string, depth int) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if depth > 16 {
		return "", fmt.Errorf("%s: files are included too deep", file)
	}
	var out strings.Builder
	for text := string(raw); text != ""; {
		n := 1
		switch {
		case text[0] == '"':
			for n < len(text) && text[n] != '"' {
				if text[n] == '\\' {
					n++
				}
				n++
			}
			n = min(n+1, len(text))
			out.WriteString(text[:n])
		case text[0] == '#', strings.HasPrefix(text, "//"):
			if n = strings.IndexByte(text, '\n'); n < 0 {
				n = len(text)
			}
		case strings.HasPrefix(text, "/*"):
			if n = strings.Index(text[2:], "*/") + 4; n < 4 {
				n = len(text)
			}
		case strings.HasPrefix(text, "<?include"):
			m := keaInclude.FindStringSubmatch(text)
			if m == nil || !strings.HasPrefix(text, m[0]) {
				return "", fmt.Errorf("%s: an include cannot be read", file)
			}
			inner, err := plainJSON(named(file, m[1]), depth+1)
			if err != nil {
				return "", err
			}
			out.WriteString(inner)
			n = len(m[0])
		default:
			out.WriteByte(text[0])
		}
		if text = text[n:]; out.Len() > maxIncluded {
			return "", fmt.Errorf("%s: the configuration is too large", file)
		}
	}
	return spareComma.ReplaceAllString(out.String(), "$1"), nil
}

// spareComma is a comma before an end. In a string it is as harmless as rare.
var spareComma = regexp.MustCompile(`,(\s*[}\]])`)

// dnsmasqOutside are the lines of dnsmasq.conf that belong to the host: interfaces, files that it
// writes, programs that it runs, and other services.
var dnsmasqOutside = []string{"interface", "except-interface", "no-dhcp-interface", "listen-address", "bind-interfaces", "bind-dynamic", "dhcp-leasefile",
	"leasefile-ro", "dhcp-script", "dhcp-luascript", "dhcp-scriptuser", "script-arp", "log-facility", "log-dhcp", "log-queries", "pid-file", "user", "group",
	"enable-tftp", "tftp-root", "keep-in-foreground", "no-daemon", "no-ping", "resolv-file", "dnssec", "conf-script", "enable-ra", "dumpfile", "dumpmask",
	"enable-dbus", "enable-ubus", "conntrack", "dhcp-relay", "auth-server", "server", "no-resolv", "no-hosts", "rev-server", "trust-anchor", "bridge-interface", "shared-network"}

func prepareDnsmasq(dir string, files []string) (running, error) {
	confs, leases, err := split(files, false)
	if err != nil {
		return running{}, err
	}
	var out strings.Builder
	for _, c := range confs {
		if err := dnsmasqLines(&out, c, 0); err != nil {
			return running{}, err
		}
	}
	conf, lf := filepath.Join(dir, "dnsmasq.conf"), filepath.Join(dir, "dnsmasq.leases")
	if err := errors.Join(os.WriteFile(conf, []byte(out.String()), 0o600), copied(leases, lf)); err != nil {
		return running{}, err
	}
	return running{
		args:  []string{"dnsmasq", "-k", "--log-facility=-", "--user=root", "--no-resolv", "--no-hosts", "--no-ping", "--interface=eth0", "-C", conf, "-l", lf, "--pid-file="},
		ready: regexp.MustCompile(`DHCP, (IP range|static leases|proxy on subnet|sockets bound)`), noise: regexp.MustCompile(`^$`),
		inSubnets: true, // ranges without a netmask take it from the interface
	}, nil
}

// dnsmasqFiles are the lines that name files which are read as they are.
var dnsmasqFiles = []string{"dhcp-hostsfile", "dhcp-hostsdir", "dhcp-optsfile", "dhcp-optsdir", "addn-hosts", "hostsdir"}

// dnsmasqLines adds the lines of a file and of those that it names.
func dnsmasqLines(out *strings.Builder, file string, depth int) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if depth > 16 || out.Len() > maxIncluded {
		return fmt.Errorf("%s: files are included too deep, or the configuration is too large", file)
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case slices.Contains(dnsmasqOutside, name):
		case name == "conf-file":
			if err := dnsmasqLines(out, named(file, value), depth+1); err != nil {
				return err
			}
		case name == "conf-dir":
			parts := strings.Split(value, ",")
			parts[0] = named(file, parts[0])
			entries, err := os.ReadDir(parts[0])
			if err != nil {
				return err
			}
			for _, e := range entries {
				if !e.IsDir() && dirTakes(e.Name(), parts[1:]) {
					if err := dnsmasqLines(out, filepath.Join(parts[0], e.Name()), depth+1); err != nil {
						return err
					}
				}
			}
		case slices.Contains(dnsmasqFiles, name):
			fmt.Fprintf(out, "%s=%s\n", name, named(file, value))
		default:
			out.WriteString(strings.TrimRight(line, "\n") + "\n")
		}
	}
	return nil
}

// dirTakes reports whether conf-dir reads a file: patterns with a star are endings that it reads
// alone, and others are endings that it leaves out.
func dirTakes(name string, patterns []string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#") {
		return false
	}
	only := false
	for _, p := range patterns {
		if ending, ok := strings.CutPrefix(p, "*"); ok {
			if only = true; strings.HasSuffix(name, ending) {
				return true
			}
		} else if strings.HasSuffix(name, p) {
			return false
		}
	}
	return !only
}
