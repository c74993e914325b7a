package siteimport

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// Bad input of each kind is one line with file, line and cure.
func TestRefused(t *testing.T) {
	deepJSON := strings.Repeat("[", maxDepth+2)
	for _, c := range []struct{ name, kind, text, want string }{
		{"kea unknown", "kea", `{"Dhcp4":{` + "\n" + `"frobnicate":1}}`, `f:2: "\"frobnicate\": 1" is not a known statement; correct it, or leave it out with --allow-unknown`},
		{"kea truncated", "kea", "{\"Dhcp4\":{\n", "f:1: the { has no end; add }"},
		{"kea string", "kea", "{\n\"Dhcp4", "f:2: the string has no end; add a quote"},
		{"kea comma", "kea", `{"Dhcp4":{} "x":1}`, `f:1: "\"x\":1}" follows a value; is a comma missing?`},
		{"kea twice", "kea", `{"Dhcp4":{}, "Dhcp4":{}}`, `f:1: "Dhcp4" is there twice; remove one`},
		{"kea word", "kea", `{"Dhcp4": yes}`, `f:1: "yes}" is no value; write strings in quotes`},
		{"kea deep", "kea", deepJSON, "f:1: values are nested more than 32 deep"},
		{"kea comment", "kea", "{\n/* x", "f:2: the comment has no end; add */"},
		{"kea loop", "kea", `{"Dhcp4": <?include "f"?> }`, "f:1: f includes itself; remove the include"},
		{"kea longer loop", "kea", "{\"Dhcp4\":\n <?include \"g\"?> }", "g:1: f includes itself; remove the include"},
		{"kea absent", "kea", `{"Dhcp4": <?include "/x/y"?> }`, "f:1: open x/y: file does not exist"},
		{"kea latin1", "kea", "{\n\"caf\xe9\":1}", "f:2: the text is not UTF-8; convert the file"},
		{"kea utf-16", "kea", "{\x00\"\x00", "f:1: the file is not text; convert it to UTF-8"},
		{"dnsmasq unknown", "dnsmasq", "no-resolv\nfrobnicate=3", `f:2: "frobnicate=3" is not a known statement; correct it, or leave it out with --allow-unknown`},
		{"dnsmasq quote", "dnsmasq", "\ndhcp-option=15,\"x", "f:2: the string has no end; add a quote"},
		{"dnsmasq loop", "dnsmasq", "\nconf-file=/f", "f:2: f includes itself; remove the include"},
		{"dnsmasq longer loop", "dnsmasq", "conf-file=/h", "h:3: f includes itself; remove the include"},
		{"dnsmasq absent", "dnsmasq", "conf-file=/x", "f:1: open x: file does not exist"},
		{"dnsmasq long", "dnsmasq", "server=" + strings.Repeat("x", maxWord), "f:1: the line has more than 16384 bytes; split it"},
		{"dnsmasq latin1", "dnsmasq", "no-resolv\ndomain=caf\xe9", "f:2: the text is not UTF-8; convert the file"},
		{"bind unknown", "bind", "\nfrobnicate { x; };", `f:2: "frobnicate" is not a known statement; correct it, or leave it out with --allow-unknown`},
		{"bind end", "bind", "options {\n", "f:1: the block has no end; add }"},
		{"bind absent", "bind", "options { };\nzone \"a.b\" { type master; file \"x\"; };", "f:2: open x: file does not exist"},
		{"bind loop", "bind", "include \"f\";", "f:1: f includes itself; remove the include"},
		{"zone loop", "bind", "@ SOA a b 1 2 3 4 5\n$INCLUDE f", "f:2: f includes itself; remove the include"},
		{"zone open", "bind", "a SOA a b (1 2 3", "f:1: the ( has no end; add )"},
		{"zone data", "bind", "a SOA a b 1 2 3 4 5\nb A x", "f:2: the data of the A record cannot be read; correct it"},
		{"zone type", "bind", "a SOA a b 1 2 3 4 5\nb FROB x", `f:2: "b FROB x" is not a known statement; correct it, or leave it out with --allow-unknown`},
		{"zone quote", "bind", "a SOA a b 1 2 3 4 5\nb TXT \"x", "f:2: the string has no end; add a quote"},
		{"zone many", "bind", "a SOA a b 1 2 3 4 5\n$GENERATE 0-99999999 a$ A 10.0.0.1", "f:2: $GENERATE makes more than 65536 names; write a smaller range"},
		{"zone generate", "bind", "a SOA a b 1 2 3 4 5\n$GENERATE 1-2 a${x} A 10.0.0.1", "f:2: ${x} is no field of $GENERATE; write ${offset,width,base}"},
		{"csv column", "csv", "name,shoe\n", `f:1: the column "shoe" is not known; name it one of alias,`},
		{"csv quote", "csv", "name,ip\n\"x,1\n", "f:2: the row cannot be read: "},
		{"csv fields", "csv", "name,ip\nx\n", "f:2: the row has 1 fields, and the header 2; is a separator missing?"},
		{"hosts", "hosts", "192.0.2.1 a\nx y", `f:2: "x" is not an address; correct it, or leave the line out with --allow-unknown`},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := fstest.MapFS{"f": {Data: []byte(c.text)}, "g": {Data: []byte(`<?include "f"?>`)}, "h": {Data: []byte("\n\nconf-file=/f")}}
			_, err := Read(fsys, Options{Kind: c.kind}, "f")
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestNotRecognized(t *testing.T) {
	fsys := fstest.MapFS{"f": {Data: []byte("what is this")}, "d/x": {}}
	for name, want := range map[string]string{
		"f": "f: the kind is not recognized; name it with --from: dhcpd, ",
		"d": "d: the directory has no configuration under its usual name; name the file",
		"g": "open g: file does not exist",
	} {
		if _, err := Read(fsys, Options{}, name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(fsys, Options{Kind: "magic"}, "f"); err == nil || !strings.Contains(err.Error(), `kind "magic" is none of dhcpd, `) {
		t.Error(err)
	}
}

// A directory stands for the files with usual names in it.
func TestDirectory(t *testing.T) {
	fsys := fstest.MapFS{
		"etc/dhcpd.conf": {Data: []byte("authoritative;")}, "etc/dhcpd.leases": {Data: []byte("lease 192.0.2.1 { hardware ethernet 02:00:00:00:00:01; }")},
		"etc/other": {Data: []byte("x")},
	}
	got, err := Read(fsys, Options{}, "etc")
	if err != nil || got.Kind != "dhcpd" || len(got.Report) != 2 || len(got.Leases) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// fuzz feeds a text to a kind: it is refused with its place, or no token is lost.
func fuzz(f *testing.F, kind string, accept func(name string) bool) {
	samples, err := filepath.Glob("testdata/" + kind + "/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range samples {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		a := parseArchive(string(raw))
		for _, name := range a.names {
			if name != golden1 && accept(name) {
				f.Add(a.files[name])
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		fsys := fstest.MapFS{"f": {Data: []byte(text)}}
		o := Options{Kind: kind, AllowUnknown: true}
		if _, err := Read(fsys, o, "f"); err == nil {
			countTokens(t, fsys, o, "f")
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than a line: %v", err)
		}
	})
}

func isLeases(name string) bool { return strings.Contains(name, "lease") }

func any1(string) bool { return true }

func FuzzKea(f *testing.F)     { fuzz(f, "kea", any1) }
func FuzzDnsmasq(f *testing.F) { fuzz(f, "dnsmasq", any1) }
func FuzzBind(f *testing.F)    { fuzz(f, "bind", any1) }
func FuzzCSV(f *testing.F)     { fuzz(f, "csv", any1) }
func FuzzHosts(f *testing.F)   { fuzz(f, "hosts", any1) }
func FuzzLeases(f *testing.F)  { fuzz(f, "dhcpd", isLeases) }

// addr4 is a host of 10.0.0.0/8, beyond its first 65536.
func addr4(i int) string { return fmt.Sprintf("10.%d.%d.%d", 1+i>>16, i>>8&255, i&255) }

func mac4(i int) string { return fmt.Sprintf("02:00:00:%02x:%02x:%02x", i>>16, i>>8&255, i&255) }

// many are configurations with n hosts, and as many leases where the kind has some.
func many(kind string, n int) (fs.FS, []string) {
	var conf, leases strings.Builder
	files := []string{"conf"}
	each := func(format string, args func(i int) []any) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, args(i)...)
		}
		return b.String()
	}
	host := func(i int) []any { return []any{i, mac4(i), addr4(i)} }
	lease := func(i int) []any { return []any{addr4(i), mac4(i), i} }
	switch kind {
	case "dhcpd":
		conf.WriteString("subnet 10.0.0.0 netmask 255.0.0.0 { range 10.0.0.0 10.255.255.255; }\n")
		conf.WriteString(each("host h%d { hardware ethernet %s; fixed-address %s; }\n", host))
		leases.WriteString(each("lease %s {\n  starts 1 2026/11/30 08:00:00;\n  ends 1 2026/11/30 20:00:00;\n  binding state active;\n  hardware ethernet %s;\n  client-hostname \"h%d\";\n}\n", lease))
	case "kea":
		conf.WriteString(`{"Dhcp4":{"subnet4":[{"subnet":"10.0.0.0/8","pools":[{"pool":"10.0.0.1-10.255.255.254"}],"reservations":[`)
		conf.WriteString(strings.TrimSuffix(each("{\"hostname\":\"h%d\",\"hw-address\":\"%s\",\"ip-address\":\"%s\"},\n", host), ",\n") + "]}]}}")
		leases.WriteString("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n")
		leases.WriteString(each("%s,%s,,3600,1795996800,1,0,0,h%d,0\n", lease))
	case "dnsmasq":
		conf.WriteString("dhcp-range=10.0.0.1,10.255.255.254,255.0.0.0\n")
		conf.WriteString(each("dhcp-host=h%d,%s,%s\n", host))
		leases.WriteString(each("1795996800 %[2]s %[1]s h%[3]d *\n", lease))
	case "bind":
		conf.WriteString("$TTL 1h\n$ORIGIN example.org.\n@ SOA ns admin 1 2 3 4 5\n")
		conf.WriteString(each("h%d A %[3]s ; %[2]s\n", host))
	case "csv":
		conf.WriteString("name,mac,ip,subnet\n" + each("h%d.example.org,%s,%s,10.0.0.0/8\n", host))
	case "hosts":
		conf.WriteString(each("%[3]s h%[1]d.example.org h%[1]d # %[2]s\n", host))
	}
	fsys := fstest.MapFS{"conf": {Data: []byte(conf.String())}}
	if leases.Len() > 0 {
		fsys["leases"] = &fstest.MapFile{Data: []byte(leases.String())}
		if kind == "dnsmasq" {
			fsys["x.leases"] = fsys["leases"]
			files = append(files, "x.leases")
		} else {
			files = append(files, "leases")
		}
	}
	return fsys, files
}

// BenchmarkSite reads 100,000 hosts and as many leases.
func BenchmarkSite(b *testing.B) {
	for _, kind := range []string{"dhcpd", "kea", "dnsmasq", "bind", "csv", "hosts"} {
		b.Run(kind, func(b *testing.B) {
			fsys, files := many(kind, 100_000)
			b.ReportAllocs()
			for b.Loop() {
				got, err := Read(fsys, Options{Kind: kind}, files...)
				if err != nil {
					b.Fatal(err)
				}
				if n := len(got.Document.Reserved) + len(got.Document.Records); n < 100_000 {
					b.Fatalf("%d hosts", n)
				}
			}
		})
	}
}

// A truncated file is refused with its place, or what is left of it is reported whole.
func TestTruncated(t *testing.T) {
	samples, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		raw, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		a := parseArchive(string(raw))
		fsys, names := a.fsys()
		o := Options{Kind: filepath.Base(filepath.Dir(sample)), AllowUnknown: true}
		for _, name := range names {
			whole := a.files[name]
			for cut := 0; cut < len(whole); cut += 1 + len(whole)/40 {
				fsys.(fstest.MapFS)[name].Data = []byte(whole[:cut])
				if _, err := Read(fsys, o, names...); err == nil {
					countTokens(t, fsys, o, names...)
				} else if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), ":") {
					t.Errorf("%s of %s cut at %d: %v", name, sample, cut, err)
				}
			}
			fsys.(fstest.MapFS)[name].Data = []byte(whole)
		}
	}
}

func FuzzNetBox(f *testing.F) { fuzz(f, "netbox", any1) }

// FuzzMAAS has the lists of a sample in one text, as dumps may have them: the name of a file says
// what is in it, and the text is what is fuzzed.
func FuzzMAAS(f *testing.F) {
	samples, err := filepath.Glob("testdata/maas/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range samples {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		a := parseArchive(string(raw))
		var lists []string
		for _, name := range a.names {
			if model, ok := strings.CutSuffix(name, ".json"); ok {
				lists = append(lists, fmt.Sprintf("%q: %s", model, a.files[name]))
			}
		}
		f.Add("{" + strings.Join(lists, ",") + "}")
	}
	fuzz(f, "maas", func(string) bool { return false })
}
