package siteimport

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// publicSites returns the sites of testdata/public by kind: files as people publish them, each site
// in a directory of its own.
func publicSites(t *testing.T, kind string) map[string]fs.FS {
	t.Helper()
	out := map[string]fs.FS{}
	archives, err := filepath.Glob(filepath.Join("testdata", "public", kind, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archives {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all, _ := parseArchive(string(raw)).fsys()
		entries, err := fs.ReadDir(all, ".")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			site, err := fs.Sub(all, e.Name())
			if err != nil {
				t.Fatal(err)
			}
			out[strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+e.Name()] = site
		}
	}
	return out
}

// filesAt returns the files at the top of a site: those in directories are included.
func filesAt(t *testing.T, site fs.FS) (out []string) {
	t.Helper()
	entries, err := fs.ReadDir(site, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() && !included(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out
}

// included reports whether a file at the top of a site is one that another file names.
func included(name string) bool {
	return slices.Contains([]string{"dhcpd.hosts", "ddns.key", "custom.list", "dnsmasq.rfc6761", "default.hostsfile", "default.addnhosts", "hosts.dhcp", "opts.dhcp", "hosts.dns"}, name)
}

// enough is the part of the statements of all sites of a kind that must be known.
const enough = 0.95

// Configurations as people publish them are understood: the statements become part of the document,
// or the report says why not. Not a token is lost, and an empty site takes each document.
func TestPublicSites(t *testing.T) {
	files := 0
	for _, k := range Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			total, unknown := Report{}, 0
			sites := publicSites(t, k.Name)
			for name, site := range sites {
				t.Run(name, func(t *testing.T) {
					names := filesAt(t, site)
					got, err := Read(site, Options{AllowUnknown: true}, names...)
					if err != nil {
						t.Fatal(err)
					}
					if got.Kind != k.Name {
						t.Errorf("recognized as %s", got.Kind)
					}
					applies(t, got.Document)
					countTokens(t, site, Options{AllowUnknown: true}, names...)
					for _, i := range got.Report {
						if i.Why == "is not known" {
							unknown++
							t.Logf("%s:%d: %s is not known", i.File, i.Line, i.Statement)
						}
					}
					total = append(total, got.Report...)
				})
				err := fs.WalkDir(site, ".", func(_ string, e fs.DirEntry, err error) error {
					if err == nil && !e.IsDir() {
						files++
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			known := float64(len(total)-unknown) / float64(max(1, len(total)))
			t.Logf("%d sites, %d statements: %d taken, %d changed, %d left out with a reason, %d not known: %.1f %% known",
				len(sites), len(total), total.Count(Taken), total.Count(Changed), total.Count(LeftOut)-unknown, unknown, 100*known)
			if known < enough || len(sites) < 2 {
				t.Errorf("%.1f %% of the statements of %d sites are known", 100*known, len(sites))
			}
		})
	}
	t.Logf("%d files", files)
}

// The examples that Debian's packages install are understood as well.
func TestExamplesOfPackages(t *testing.T) {
	for _, c := range []struct {
		name, program, pkg string
		files              []string
	}{
		{"kea", "kea-dhcp4", "kea-dhcp4-server", []string{"etc/kea/kea-dhcp4.conf"}},
		{"kea", "kea-dhcp6", "kea-dhcp6-server", []string{"etc/kea/kea-dhcp6.conf"}},
		{"dnsmasq", "dnsmasq", "dnsmasq-base", []string{"usr/share/doc/dnsmasq-base/examples/dnsmasq.conf.example"}},
		{"bind", "named", "bind9", []string{"etc/bind/named.conf"}},
		{"hosts", "sh", "base-files", []string{"etc/hosts"}},
	} {
		t.Run(c.files[0], func(t *testing.T) {
			netlab.Require(t, netlab.Program(c.program, c.pkg))
			root := os.DirFS("/")
			got, err := Read(root, Options{Kind: c.name}, c.files...)
			if err != nil {
				t.Fatal(err)
			}
			applies(t, got.Document)
			countTokens(t, root, Options{Kind: c.name}, c.files...)
			t.Logf("%d taken, %d changed, %d left out", got.Report.Count(Taken), got.Report.Count(Changed), got.Report.Count(LeftOut))
		})
	}
}
