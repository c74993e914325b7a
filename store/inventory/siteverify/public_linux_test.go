package siteverify_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
	"github.com/gomaas/maas/store/inventory/siteimport"
	"github.com/gomaas/maas/store/inventory/siteverify"
)

var allSites = flag.Bool("all-sites", false, "replay all sites of siteimport's testdata/public against the real servers, not a spread")

// oneOf is the part of the sites that is replayed without -all-sites: one of so many.
const oneOf = 4

// Sites as people publish them answer as the real servers do. What differs is what the report of
// the import says: the parts that a site allows are in its line.
func TestPublicSitesAnswerAlike(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("dnsmasq", "dnsmasq-base"), netlab.Program("kea-dhcp4", "kea-dhcp4-server"), netlab.Program("kea-dhcp6", "kea-dhcp6-server"))
	t.Setenv("PATH", filepath.Join(qemutest.Unpacked(t, "amd64", "isc-dhcp-server"), "usr/sbin")+":"+os.Getenv("PATH"))
	started, asked, sites, packets := time.Now(), 0, 0, 0
	for _, kind := range []string{"dhcpd", "kea", "dnsmasq"} {
		archives, err := filepath.Glob(filepath.Join("..", "siteimport", "testdata", "public", kind, "*.txtar"))
		if err != nil || len(archives) == 0 {
			t.Fatal(archives, err)
		}
		for _, archive := range archives {
			dir := unpacked(t, archive)
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if sites++; !*allSites && sites%oneOf != 0 {
					continue
				}
				site := strings.TrimSuffix(filepath.Base(archive), ".txtar") + "/" + kind + "/" + e.Name()
				if site == "large/kea/leaseonly" || site == "office/dnsmasq/leases" { // leases alone
					continue
				}
				t.Run(site, func(t *testing.T) {
					packets += replay(t, site, kind, filepath.Join(dir, e.Name()))
					asked++
				})
			}
		}
	}
	t.Logf("%d of %d sites, %d packets in %v", asked, sites, packets, time.Since(started).Round(time.Second))
}

func replay(t *testing.T, site, kind, dir string) (packets int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool {
		info, err := os.Stat(f)
		name := filepath.Base(f)
		return err != nil || info.IsDir() || name == "dhcpd.hosts" || !strings.HasPrefix(name, kind) && !strings.HasPrefix(name, "kea")
	})
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	got, err := siteimport.Read(os.DirFS(dir), siteimport.Options{AllowUnknown: true}, names...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := siteverify.Verify(t.Context(), got, siteverify.Options{Files: files, Accept: append(slices.Clip(own), "next server"), Packets: 100})
	if err != nil {
		t.Error(err)
		return 0
	}
	// A partner outside of the namespace is not asked: the model of the import answers.
	if r.Why != "" && !strings.Contains(r.Why, "failover peer") {
		t.Error(r.Why)
	}
	reported := got.Report.String()
	for _, d := range r.Differences {
		word := reportedAs[site][d.What]
		switch {
		case expected(kind, d):
		case word != "" && strings.Contains(reported, word):
		default:
			if len(d.Questions) > 3 {
				d.Questions = append(d.Questions[:3], "...")
			}
			t.Error(strings.TrimSpace(fmt.Sprintf("%+v", d)))
		}
	}
	return r.Questions
}

// expected reports whether all imports of a kind differ so.
func expected(kind string, d siteverify.Difference) bool {
	all := func(part string) bool {
		return !slices.ContainsFunc(d.Questions, func(q string) bool { return !strings.Contains(q, part) })
	}
	switch {
	// Racks are authoritative, and old servers where they are told.
	case d.What == "answer" && d.Old == "silence" && d.Ours == "NAK":
		return all("client of another network")
	case d.What == "answer" && (d.Old == "silence" || d.Old == "NAK") && d.Ours == "ACK":
		return all("that restarts")
	// A site has a domain, and devices have names.
	case d.What == "option 15", d.What == "option6 24", d.What == "option 12":
		return d.Old == "absent"
	// dnsmasq names itself as the router, which the report says.
	case d.What == "option 3" && kind == "dnsmasq":
		return d.Old == "the server itself"
	// Kea gives the network's own address and those of servers.
	case d.What == "address":
		return strings.HasSuffix(d.Old, "of no dynamic range") && d.Ours == "of a dynamic range"
	}
	return false
}

// reportedAs has words of the report of the import that explain a difference, by site and part.
// Which of two ranges a client gets is chance, and so are the options of that one.
var reportedAs = map[string]map[string]string{
	"home/dhcpd/bootp":      {"option 3": "a subnet has one"},
	"home/dhcpd/unifi":      {"option 43": "spaces of their own have no counterpart"},
	"office/dhcpd/events":   {"option 12": "expressions are not evaluated"},
	"office/dhcpd/guests":   {"answer": "the ranges of the pool are reserved"},
	"office/dhcpd/storage":  {"option 78": "slp-directory-agent"},
	"office/dhcpd/subclass": {"answer": "vendors-member-1"},
	"office/dhcpd/windows":  {"option 252": "a quote is not closed"},
	"pxe/dhcpd/fog":         {"option 6": "dhcp-parameter-request-list"},
	"six/dhcpd/hosts":       {"answer": "at least 256 addresses", "address": "at least 256 addresses", "lease time": "at least 256 addresses"},
	"six/dhcpd/shared6":     {"lease time": "length of leases"}, // dhcpd takes the other subnet of the network
	"six/dhcpd/sntp":        {"option6 31": "DHCP snippet"},     // it goes with an address alone
	"large/kea/many":        {"option 12": "the host is no device", "option 33": "there is no option of this name", "option 3": "dynamic range"},
	"large/kea/both":        {"answer": "at least 256 addresses", "address": "at least 256 addresses", "lease time": "at least 256 addresses"},
	"large/kea/shared6":     {"lease time": "length of leases"}, // Kea takes the other subnet of the network
	"large/kea/six":         {"option6 31": "without the network's own and the reserved addresses"},
	"small/kea/two":         {"option 23": "left out"},
	"small/kea/voip":        {"option 225": "left out", "option 43": "left out"},
	"home/dnsmasq/ap":       {"option 44": "stands for the server itself", "option 252": "left out", "option 43": "options within options"},
	"home/dnsmasq/openwrt":  {"lease time": "a subnet has one length of leases"},
	"home/dnsmasq/pihole":   {"option 44": "stands for the server itself"},
	"office/dnsmasq/hosts":  {"lease time": "a subnet has one length of leases", "answer": "MAC address 52:54:00:88:00:05"},
	"office/dnsmasq/user":   {"option 6": "options of several tags, or without one", "option 125": "options within options", "option 43": "options within options"},
	"pxe/dnsmasq/ltsp":      {"option 43": "set dhcp_mode of its VLAN to proxy", "answer": "set dhcp_mode of its VLAN to proxy"},
	"pxe/dnsmasq/proxy":     {"option 43": "set dhcp_mode of its VLAN to proxy", "answer": "set dhcp_mode of its VLAN to proxy"},
}

// unpacked writes the files of an archive to a directory.
func unpacked(t *testing.T, archive string) string {
	t.Helper()
	raw, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for part := range strings.SplitSeq("\n"+string(raw), "\n-- ") {
		name, text, ok := strings.Cut(part, " --\n")
		if !ok {
			continue
		}
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
