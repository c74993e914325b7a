// Package config is the configuration of the maas daemon: one YAML file, MAAS_* variables, flags,
// in rising order.
//
//	cfg, err := config.Load("maas.yaml")  // strict: an unknown key is an error with its line
//	cfg = config.Overlay(cfg, flags)      // what flags and variables set wins
//	err = cfg.Check()
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/gomaas/maas/cmd/maas/internal/spelling"
)

const (
	// DefaultData is the default data directory of a daemon.
	DefaultData = "/var/lib/gomaas"
	// FormerData was it until v0.1.0. Canonical's MAAS uses that directory, too.
	FormerData = "/var/lib/maas"
)

// Config is the whole configuration. Zero fields mean the defaults.
type Config struct {
	// Data is the directory of everything that outlives a restart. Empty means [DefaultData].
	Data string `yaml:"data"`
	// Interface is the network interface to serve, several with commas between, or "all" for those
	// that have an IPv4 address. Empty means the only one that has.
	Interface string `yaml:"interface"`
	Region    Region `yaml:"region"`
	Rack      Rack   `yaml:"rack"`
	DHCP      DHCP   `yaml:"dhcp"`
	DNS       DNS    `yaml:"dns"`
	Boot      Boot   `yaml:"boot"`
	Proxy     Proxy  `yaml:"proxy"`
	Log       Log    `yaml:"log"`
	Trace     Trace  `yaml:"trace"`
}

// Region configures the listeners and the data of a region.
type Region struct {
	// Name distinguishes the region from other regions of the site. If empty, the host's name is
	// used.
	Name string `yaml:"name"`
	// Listen is the API's address and port. Empty means port 5240 on all addresses.
	Listen string `yaml:"listen"`
	// Racks is the address and port for racks of other hosts. Empty means port 5250 on all
	// addresses of a region, and that a daemon with both roles takes none.
	Racks string `yaml:"racks"`
	// Addresses are the host:port at which racks reach the region. If empty, the host's addresses
	// are used.
	Addresses []string `yaml:"addresses"`
	// Database is the database URL, such as postgres://maas@db/maas for several regions. If empty,
	// a file in Data is used.
	Database string `yaml:"database"`
	// TLS is the TLS mode of the API on Listen: "off", "self-signed" with a certificate created in
	// Data, or "files" with TLSCert and TLSKey. If empty, it is "files" if those are set, else
	// "self-signed". Clients of this host may use plain HTTP on the same port.
	TLS string `yaml:"tls"`
	// TLSCert and TLSKey are PEM files of a certificate with its chain and of its key. Changed
	// files are read again.
	TLSCert string `yaml:"tls-cert"`
	TLSKey  string `yaml:"tls-key"`
	// PlainHTTP answers clients of other hosts over plain HTTP, too, besides TLS.
	PlainHTTP bool `yaml:"plain-http"`
}

// TLSMode is TLS with what an empty one means.
func (r *Region) TLSMode() string {
	switch {
	case r.TLS != "":
		return r.TLS
	case r.TLSCert != "" || r.TLSKey != "":
		return TLSFiles
	}
	return TLSSelfSigned
}

// Values of Region.TLS.
const (
	TLSOff        = "off"
	TLSSelfSigned = "self-signed"
	TLSFiles      = "files"
)

// Rack configures the name of a rack, its HTTP boot server and the logs of machines.
type Rack struct {
	// Name is the name under which the rack is enrolled. If empty, the host's name is used.
	Name string `yaml:"name"`
	// Port is the TCP port on the addresses of the interface. Zero means 5248.
	Port int `yaml:"port"`
	// SyslogPort is the UDP port for what machines log while they boot. Zero means 5247.
	SyslogPort int `yaml:"syslog-port"`
	// NoSyslog takes nothing of what machines log.
	NoSyslog bool `yaml:"no-syslog"`
}

// DHCP says how addresses are given out.
type DHCP struct {
	// Range is the dynamic range "first-last". Empty lets one be suggested when the subnet is first
	// seen.
	Range string `yaml:"range"`
	// Gateway is the machines' default router. If empty, it is the host's router, if that is in the
	// subnet.
	Gateway string `yaml:"gateway"`
	// Force serves even where another DHCP server answers.
	Force bool `yaml:"force"`
	// Disable serves no DHCP.
	Disable bool `yaml:"disable"`
	// Mode says who gives addresses in a network that is new to the site: "serve" or empty means
	// this daemon, "proxy" another server beside it, "auto" this daemon while no other server
	// answers, "watch" another server whose leases this daemon learns in silence.
	Mode string `yaml:"mode"`
}

// DNS says what names are called and who answers for the rest of the world.
type DNS struct {
	// Domain is the domain of machines. Empty means "maas".
	Domain string `yaml:"domain"`
	// Forwarders are resolvers for other names. If empty, those in /etc/resolv.conf are used.
	Forwarders []string `yaml:"forwarders"`
	// Port is for tests; zero means 53.
	Port int `yaml:"port"`
}

// Boot configures the default boot profile.
type Boot struct {
	// Kernel and Initrd are files on this host.
	Kernel string   `yaml:"kernel"`
	Initrd []string `yaml:"initrd"`
	// Cmdline is the kernel command line.
	Cmdline string `yaml:"cmdline"`
	// Loaders is a directory of boot loaders. Empty means the places of Debian's packages.
	Loaders string `yaml:"loaders"`
	// Files is a directory of boot files, which profiles name by their paths in it. A region gives
	// them to all racks; a rack serves its own before those of the region. Empty means none.
	Files string `yaml:"files"`
	// Cache bounds the boot files that a rack keeps of the region, in GiB. Zero means 20.
	Cache int `yaml:"cache"`
}

// Proxy is the HTTP proxy for machines.
type Proxy struct {
	// Port is the TCP port on the addresses of the interface. Zero leaves the site's setting, which
	// begins as 8000.
	Port int `yaml:"port"`
	// Parent is a proxy to go through, such as http://proxy.example:3128. Empty leaves the site's
	// settings.
	Parent string `yaml:"parent"`
	// Disable runs no proxy.
	Disable bool `yaml:"disable"`
	// AccessLog is a file to which each request is written in the common log format; "log" writes
	// to the daemon's own log. Empty writes nothing.
	AccessLog string `yaml:"access-log"`
}

// Log says what is logged.
type Log struct {
	// Level is debug, info, warn or error. Empty means info.
	Level string `yaml:"level"`
	// Format is text or json. Empty means text on a terminal and json otherwise.
	Format string `yaml:"format"`
}

// Trace says where OpenTelemetry traces go.
type Trace struct {
	// Endpoint is the URL of a collector that speaks OTLP over HTTP, such as
	// http://collector.example:4318. Empty leaves it to OTEL_EXPORTER_OTLP_ENDPOINT; without that,
	// too, there are no traces.
	Endpoint string `yaml:"endpoint"`
}

// A Mistake is something wrong in a configuration, at a line of the file where that is known.
type Mistake struct {
	File string // empty when it did not come from a file
	Line int    // zero when not known
	Key  string // such as "dhcp.range"
	Text string
}

// Error is "FILE:LINE: KEY: what is wrong".
func (m *Mistake) Error() string {
	var b strings.Builder
	if m.File != "" {
		b.WriteString(m.File)
		if m.Line > 0 {
			fmt.Fprintf(&b, ":%d", m.Line)
		}
		b.WriteString(": ")
	}
	if m.Key != "" {
		b.WriteString(m.Key + ": ")
	}
	return b.String() + m.Text
}

// Load reads a file and checks it. What is wrong comes back as a [*Mistake] with its line.
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	cfg, err := decode(data)
	if err != nil {
		return Config{}, syntaxMistake(path, err)
	}
	err = cfg.Check()
	if mistake := (*Mistake)(nil); errors.As(err, &mistake) {
		mistake.File, mistake.Line = path, lineOf(data, mistake.Key)
	}
	return cfg, err
}

// decode is strict. The YAML library panics on some malformed documents, such as a tag where a
// sequence belongs.
func decode(data []byte) (cfg Config, err error) {
	defer func() {
		if p := recover(); p != nil {
			cfg, err = Config{}, errors.New("not valid YAML")
		}
	}()
	err = yaml.UnmarshalWithOptions(data, &cfg, yaml.Strict())
	return cfg, err
}

// syntaxMistake takes the line from an error of the YAML library.
func syntaxMistake(path string, err error) error {
	m := &Mistake{File: path, Text: err.Error()}
	var yerr yaml.Error
	if !errors.As(err, &yerr) {
		return m
	}
	m.Text = yerr.GetMessage()
	if token := yerr.GetToken(); token != nil {
		m.Line = token.Position.Line
		if unknown := (*yaml.UnknownFieldError)(nil); errors.As(err, &unknown) {
			m.Text = fmt.Sprintf("unknown key %q%s", token.Value, suggestion(token.Value))
		}
		if wrong := (*yaml.TypeError)(nil); errors.As(err, &wrong) && wrong.DstType != nil && wrong.SrcType != nil {
			m.Text = fmt.Sprintf("%s is needed here, and not %s", kindName(wrong.DstType), kindName(wrong.SrcType))
		}
	}
	// Node types have names of their own in the library.
	if is, needed, found := strings.Cut(m.Text, " was used where "); found {
		if needed, found = strings.CutSuffix(needed, " is expected"); found {
			m.Text = fmt.Sprintf("%s is needed here, and not %s", nodeNames(needed), nodeNames(is))
		}
	}
	return m
}

// nodeNames returns the name that a writer of YAML has for a type of node.
func nodeNames(node string) string {
	switch node {
	case "string":
		return "text"
	case "sequence":
		return "a list"
	case "mapping":
		return "a group of keys"
	}
	return "a " + node
}

// kindName returns the name that a writer of YAML has for a type.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a group of keys"
	}
	return "a number"
}

// Keys are all keys of the file, dotted, such as "dhcp.range".
func Keys() []string { return keysOf("", reflect.TypeFor[Config]()) }

func keysOf(prefix string, t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		name := prefix + t.Field(i).Tag.Get("yaml")
		if t.Field(i).Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(name+".", t.Field(i).Type)...)
			continue
		}
		keys = append(keys, name)
	}
	return keys
}

// suggestion names the key that was probably meant.
func suggestion(key string) string {
	best, distance := "", 7 // the fewest changes, and then the nearest in length
	for _, dotted := range Keys() {
		for _, k := range strings.Split(dotted, ".") {
			longer := max(len(k)-len(key), len(key)-len(k))
			if d := 2*spelling.Distance(key, k) + longer; spelling.Distance(key, k) < 3 && d < distance {
				best, distance = k, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// lineOf finds the line of a dotted key, zero when it is not in the file.
func lineOf(data []byte, key string) (line int) {
	defer func() {
		if recover() != nil { // the library, as in decode
			line = 0
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return 0
	}
	path, err := yaml.PathString("$." + key)
	if err != nil {
		return 0
	}
	var node ast.Node
	if node, err = path.FilterFile(file); err != nil || node == nil {
		return 0
	}
	return node.GetToken().Position.Line
}

// Check reports the first mistake that can be seen without looking at the machine.
func (c *Config) Check() error {
	if _, _, err := c.DHCP.ParseRange(); err != nil {
		return &Mistake{Key: "dhcp.range", Text: err.Error()}
	}
	if !slices.Contains([]string{"", "serve", "proxy", "auto", "watch"}, c.DHCP.Mode) {
		return &Mistake{Key: "dhcp.mode", Text: fmt.Sprintf("%q is not serve, proxy, auto or watch", c.DHCP.Mode)}
	}
	if c.DHCP.Gateway != "" {
		if _, err := netip.ParseAddr(c.DHCP.Gateway); err != nil {
			return &Mistake{Key: "dhcp.gateway", Text: fmt.Sprintf("%q is not an address", c.DHCP.Gateway)}
		}
	}
	for i, f := range c.DNS.Forwarders {
		if _, err := netip.ParseAddr(f); err != nil {
			return &Mistake{Key: fmt.Sprintf("dns.forwarders[%d]", i), Text: fmt.Sprintf("%q is not an address", f)}
		}
	}
	for key, port := range map[string]int{"rack.port": c.Rack.Port, "rack.syslog-port": c.Rack.SyslogPort, "dns.port": c.DNS.Port, "proxy.port": c.Proxy.Port} {
		if port < 0 || port > 65535 {
			return &Mistake{Key: key, Text: fmt.Sprintf("%d is not a port; ports go from 1 to 65535", port)}
		}
	}
	if err := c.Region.check(); err != nil {
		return err
	}
	if c.Boot.Kernel == "" && (len(c.Boot.Initrd) > 0 || c.Boot.Cmdline != "") {
		return &Mistake{Key: "boot", Text: "initrd and cmdline need a kernel"}
	}
	if c.Boot.Cache < 0 || c.Boot.Cache > 1<<20 {
		return &Mistake{Key: "boot.cache", Text: fmt.Sprintf("%d is not a number of GiB", c.Boot.Cache)}
	}
	if err := c.Trace.check(); err != nil {
		return err
	}
	return c.Log.check()
}

func (t *Trace) check() error {
	u, err := url.Parse(t.Endpoint)
	if t.Endpoint == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		return nil
	}
	return &Mistake{Key: "trace.endpoint", Text: fmt.Sprintf("%q is not a URL like http://collector.example:4318", t.Endpoint)}
}

func (r *Region) check() error {
	modes := []string{"", TLSOff, TLSSelfSigned, TLSFiles}
	switch {
	case !slices.Contains(modes, r.TLS):
		return &Mistake{Key: "region.tls", Text: fmt.Sprintf("%q is none of off, self-signed, files", r.TLS)}
	case r.TLSMode() == TLSFiles && (r.TLSCert == "" || r.TLSKey == ""):
		return &Mistake{Key: "region.tls", Text: "a certificate needs both tls-cert and tls-key"}
	}
	for _, l := range []struct{ key, listen, example string }{
		{"region.listen", r.Listen, "192.0.2.1:5240"}, {"region.racks", r.Racks, "192.0.2.1:5250"},
	} {
		if l.listen == "" {
			continue
		}
		if _, err := netip.ParseAddrPort(l.listen); err != nil {
			return &Mistake{Key: l.key, Text: fmt.Sprintf("%q is not an address and port like %s", l.listen, l.example)}
		}
	}
	for i, a := range r.Addresses {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return &Mistake{Key: fmt.Sprintf("region.addresses[%d]", i), Text: fmt.Sprintf("%q is not a host and port like maas.example:5250", a)}
		}
	}
	return nil
}

func (l *Log) check() error {
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, l.Level) {
		return &Mistake{Key: "log.level", Text: fmt.Sprintf("%q is none of debug, info, warn, error", l.Level)}
	}
	if !slices.Contains([]string{"", "text", "json"}, l.Format) {
		return &Mistake{Key: "log.format", Text: fmt.Sprintf("%q is neither text nor json", l.Format)}
	}
	return nil
}

// ParseRange returns both ends of the range, invalid addresses when it is empty.
func (d *DHCP) ParseRange() (first, last netip.Addr, err error) {
	if d.Range == "" {
		return netip.Addr{}, netip.Addr{}, nil
	}
	a, b, ok := strings.Cut(d.Range, "-")
	first, err1 := netip.ParseAddr(strings.TrimSpace(a))
	last, err2 := netip.ParseAddr(strings.TrimSpace(b))
	switch {
	case !ok || err1 != nil || err2 != nil || first.Is4() != last.Is4():
		return netip.Addr{}, netip.Addr{}, fmt.Errorf("%q is not a range like 192.0.2.100-192.0.2.200", d.Range)
	case last.Less(first):
		return netip.Addr{}, netip.Addr{}, fmt.Errorf("the range %q begins behind its end; write %s-%s", d.Range, last, first)
	}
	return first, last, nil
}
