package loaders_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/loaders"
)

// installed returns a file of a Debian package.
func installed(t testing.TB, name, pkg string) []byte {
	t.Helper()
	netlab.Require(t, netlab.File(name, pkg))
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func shim(t testing.TB) []byte {
	return installed(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed")
}

func grub(t testing.TB) []byte {
	return installed(t, "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed")
}

func ipxe(t testing.TB) []byte { return installed(t, "/usr/lib/ipxe/snponly.efi", "ipxe") }

// The loaders that Debian ships say who signed them.
func TestParse(t *testing.T) {
	s, err := loaders.Parse(shim(t))
	if err != nil || s.Arch != "amd64" || !slices.Contains(s.CAs(), loaders.Microsoft2011) || !slices.Contains(s.Vendor, "Debian Secure Boot CA") {
		t.Errorf("shim: %+v, %v", s, err)
	}
	if !slices.ContainsFunc(s.SBAT, func(g loaders.Generation) bool { return g.Component == "shim" && g.Generation >= 3 }) {
		t.Errorf("shim: SBAT %+v", s.SBAT)
	}
	g, err := loaders.Parse(grub(t))
	if err != nil || !s.Trusts(g) || len(g.Vendor) > 0 {
		t.Errorf("GRUB: %+v, %v", g, err)
	}
	if diff := cmp.Diff([]loaders.CA{"Debian Secure Boot CA"}, g.CAs()); diff != "" {
		t.Errorf("GRUB (-want +got)\n%s", diff)
	}
	i, err := loaders.Parse(ipxe(t))
	if err != nil || i.Arch != "amd64" || len(i.Signatures) > 0 || s.Trusts(i) {
		t.Errorf("iPXE: %+v, %v", i, err)
	}
}

// What is no whole program is one clear error.
func TestParseRefuses(t *testing.T) {
	whole := shim(t)
	changed := func(at int) []byte { b := slices.Clone(whole); b[at] ^= 1; return b }
	header := int(binary.LittleEndian.Uint32(whole[0x3c:]))
	object := slices.Clone(whole)
	object[header+24] = 0
	for _, tt := range []struct {
		name string
		data []byte
		err  error
		text string
	}{
		{"nothing", nil, loaders.ErrNoProgram, "does not begin with MZ"},
		{"a page of HTML", []byte(strings.Repeat("<html>", 20)), loaders.ErrNoProgram, "does not begin with MZ"},
		{"a program of DOS", slices.Concat([]byte("MZ"), make([]byte, 200)), loaders.ErrNoProgram, "a program of DOS"},
		{"the first kilobyte", whole[:1024], loaders.ErrTruncated, "fetch the file again"},
		{"a half", whole[:len(whole)/2], loaders.ErrTruncated, "1048504"},
		{"all but the last byte", whole[:len(whole)-1], loaders.ErrTruncated, "fetch the file again"},
		{"the header only", whole[:header+10], loaders.ErrTruncated, "fetch the file again"},
		{"another byte in the code", changed(0x8000), loaders.ErrDamaged, "fetch the file again"},
		{"an unknown processor", changed(header + 5), loaders.ErrNoProgram, "processor"},
		{"an object file", object, loaders.ErrNoProgram, "an object file"},
	} {
		if tt.name == "a half" && len(whole) != 1048504 {
			tt.text = "" // another version of the package
		}
		if _, err := loaders.Parse(tt.data); !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %v with %q", tt.name, err, tt.err, tt.text)
		}
	}
	// A signature that was cut out leaves an unsigned program, which is no error.
	directory := header + 24 + 112 + 8*4
	bare := slices.Clone(whole)
	binary.LittleEndian.PutUint64(bare[directory:], 0)
	if p, err := loaders.Parse(bare); err != nil || len(p.Signatures) > 0 {
		t.Errorf("without its signatures: %+v, %v", p.Signatures, err)
	}
}

func TestChains(t *testing.T) {
	file := func(data []byte) *fstest.MapFile { return &fstest.MapFile{Data: data} }
	all := loaders.Chains(fstest.MapFS{
		"shimx64.efi": file(shim(t)), "grubx64.efi": file(grub(t)), "snponly.efi": file(ipxe(t)), "undionly.kpxe": file([]byte("code")),
		"2023/shimx64.efi": file(shim(t)), "2023/grubx64.efi": file(grub(t)),
		"alone/shimx64.efi": file(shim(t)), "foreign/shimx64.efi": file(shim(t)), "foreign/grubx64.efi": file(ipxe(t)),
		"cut/shimx64.efi": file(shim(t)[:5000]), "ipxe/snponly-shimx64.efi": file(shim(t)), "ipxe/snponly.efi": file(grub(t)), "empty/readme": file(nil),
	})
	got := map[string]string{}
	for _, c := range all {
		got[c.Path] = string(c.Language) + " " + c.Next
		if c.Err != nil {
			got[c.Path] = c.Err.Error()
		}
	}
	want := map[string]string{
		"shimx64.efi": "grub grubx64.efi", "2023/shimx64.efi": "grub 2023/grubx64.efi", "snponly.efi": "ipxe ",
		"alone/shimx64.efi":   "alone/shimx64.efi starts alone/grubx64.efi, which is missing; put it beside the shim",
		"foreign/shimx64.efi": "foreign/shimx64.efi starts what Debian Secure Boot CA signed, and foreign/grubx64.efi is signed by none; take both from one distribution",
		"cut/shimx64.efi":     got["cut/shimx64.efi"], "ipxe/snponly-shimx64.efi": "ipxe ipxe/snponly.efi", "ipxe/snponly.efi": "ipxe ",
	}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(got["cut/shimx64.efi"], "cut/shimx64.efi: loaders: truncated") {
		t.Errorf("(-want +got)\n%s%s", diff, got["cut/shimx64.efi"])
	}
}

// chain is one that a CA signed.
func chain(path string, language firmware.Language, issuers ...string) loaders.Chain {
	c := loaders.Chain{Path: path, Language: language, Program: loaders.Program{Arch: "amd64", Size: 1}}
	for _, i := range issuers {
		c.Program.Signatures = append(c.Program.Signatures, loaders.Signature{Issuer: i})
	}
	return c
}

const ms2011, ms2023 = "Microsoft Corporation UEFI CA 2011", "Microsoft UEFI CA 2023"

var site = []loaders.Chain{
	chain("2011/shimx64.efi", firmware.GRUB, ms2011), chain("2023/shimx64.efi", firmware.GRUB, ms2023),
	chain("2023/snponly-shimx64.efi", firmware.IPXE, ms2023), chain("snponly.efi", firmware.IPXE),
	{Path: "broken/shimx64.efi", Language: firmware.GRUB, Program: loaders.Program{Arch: "amd64"}, Err: errors.New("broken")},
}

func TestChoose(t *testing.T) {
	pxeBoot, _ := firmware.MethodNamed("uefi-amd64-pxe")
	httpBoot, _ := firmware.MethodNamed("uefi-amd64-http")
	arm, _ := firmware.MethodNamed("uefi-arm64-pxe")
	bios, _ := firmware.MethodNamed("bios-pxe")
	pxelinux, _ := firmware.MethodNamed("bios-pxelinux")
	own := firmware.Method{Name: "own", Arch: []firmware.Arch{firmware.ArchEFI64}, Loader: "systemd-bootx64.efi", Proto: firmware.TFTP}
	for _, tt := range []struct {
		name    string
		m       firmware.Method
		want    pxe.LoaderChoice
		refused []string
		chosen  string
	}{
		{"nothing known", pxeBoot, pxe.LoaderChoice{}, nil, "2011/shimx64.efi"},
		{"by HTTP", httpBoot, pxe.LoaderChoice{}, nil, "snponly.efi"},
		{"by setting", pxeBoot, pxe.LoaderChoice{Trust: []string{"microsoft-2023"}}, nil, "2023/shimx64.efi"},
		{"by setting, with a common name", httpBoot, pxe.LoaderChoice{Trust: []string{ms2023}}, nil, "2023/snponly-shimx64.efi"},
		{"a setting that nothing fits", pxeBoot, pxe.LoaderChoice{Trust: []string{"own"}}, nil, "2011/shimx64.efi"},
		{"what started before", pxeBoot, pxe.LoaderChoice{Started: "2023/shimx64.efi"}, nil, "2023/shimx64.efi"},
		{"in another language", pxeBoot, pxe.LoaderChoice{Started: "snponly.efi"}, nil, "snponly.efi"},
		{"but the profile names one", pxeBoot, pxe.LoaderChoice{Started: "snponly.efi", Loader: firmware.GRUB}, nil, "2011/shimx64.efi"},
		{"what started before is refused now", pxeBoot, pxe.LoaderChoice{Started: "2011/shimx64.efi"}, []string{"2011/shimx64.efi"}, "2023/shimx64.efi"},
		{"what started before is gone", pxeBoot, pxe.LoaderChoice{Started: "gone/shimx64.efi"}, nil, "2011/shimx64.efi"},
		{"both shims are refused", pxeBoot, pxe.LoaderChoice{}, []string{"2011/shimx64.efi", "2023/shimx64.efi"}, "2023/snponly-shimx64.efi"},
		{"iPXE is refused", httpBoot, pxe.LoaderChoice{}, []string{"snponly.efi"}, "2023/snponly-shimx64.efi"},
		{"another processor", arm, pxe.LoaderChoice{}, nil, "shimaa64.efi"},
		// BIOS on the same processor runs none of them, and no chain replaces what an embedder made.
		{"BIOS", bios, pxe.LoaderChoice{}, nil, bios.Loader},
		{"pxelinux", pxelinux, pxe.LoaderChoice{Trust: []string{"own"}}, []string{"pxelinux.0"}, "pxelinux.0"},
		{"a loader of an embedder", own, pxe.LoaderChoice{}, nil, "systemd-bootx64.efi"},
	} {
		arch := tt.m.Arch[0]
		if arch == firmware.ArchEFI64HTTP {
			arch = firmware.ArchEFI64
		}
		if got := loaders.Choose(site, tt.m, arch, tt.want, tt.refused); got != tt.chosen {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.chosen)
		}
	}
}

// A machine whose firmware begins again after it fetched a loader is handed another one, and keeps
// the one that leads to a configuration.
func TestTrials(t *testing.T) {
	var trials loaders.Trials
	client := firmware.Client{MAC: []byte{2, 0, 0, 0, 0, 1}, Arch: []firmware.Arch{firmware.ArchEFI64}, VendorClass: "PXEClient:Arch:00007"}
	offer, _ := firmware.Select(firmware.Methods(), client, firmware.Endpoint{})
	next := func() string {
		trials.Next(client, offer, pxe.LoaderChoice{})
		return trials.Next(client, offer, pxe.LoaderChoice{})
	}
	saw := func(stage pxe.Stage, path string, size int64) {
		trials.Saw(pxe.Event{MAC: client.MAC, Stage: stage, Path: path, Size: size, Bytes: size, Time: time.Now()})
	}
	if got := next(); got != "shimx64.efi" || trials.Handed(client.MAC) != "" {
		t.Errorf("without chains: %s, %q", got, trials.Handed(client.MAC))
	}
	trials.SetChains(site)
	var handed []string
	for range 5 {
		name := next()
		handed = append(handed, name)
		saw(pxe.StageLoader, "/"+name, 100)
	}
	// All were refused in the end, and it begins with the first.
	want := []string{"2011/shimx64.efi", "2023/shimx64.efi", "2023/snponly-shimx64.efi", "snponly.efi", "2011/shimx64.efi"}
	if diff := cmp.Diff(want, handed); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := trials.Peek(client, offer, pxe.LoaderChoice{}); got != "2023/shimx64.efi" {
		t.Errorf("an explanation shows %s", got)
	}
	second := next()
	saw(pxe.StageLoader, second, 100)
	saw(pxe.StageLoader, "2023/grubx64.efi", 100)
	saw(pxe.StageConfig, "2023/grub/grub.cfg", 100)
	for range 3 {
		if got := next(); got != second {
			t.Errorf("after %s led to a configuration: %s", second, got)
		}
		saw(pxe.StageLoader, second, 100)
		saw(pxe.StageConfig, "2023/grub/grub.cfg", 100)
	}
	// A transfer that broke off is no refusal, and what a stranger claims is none either.
	trials.Saw(pxe.Event{MAC: client.MAC, Stage: pxe.StageLoader, Path: second, Size: 100, Bytes: 50, Err: "stalled"})
	trials.Saw(pxe.Event{MAC: client.MAC, Stage: pxe.StageLoader, Path: second, Size: 100, Bytes: 100, Claimed: true})
	if got := next(); got != second {
		t.Errorf("after a transfer that broke off: %s", got)
	}
	if got := trials.Signed("/2023/shimx64.efi") + ", " + trials.Signed("snponly.efi") + ", " + trials.Signed("other"); got != "signed by microsoft-2023, not signed, " {
		t.Error(got)
	}
	// iPXE asks by DHCP itself.
	offer.Method, _ = firmware.MethodNamed("uefi-amd64-ipxe")
	offer.Method.Name = "uefi-amd64-ipxe"
	ipxe := next()
	saw(pxe.StageLoader, ipxe, 100)
	trials.Saw(pxe.Event{MAC: client.MAC, Stage: pxe.StageOffer, Method: "ipxe"})
	if got := next(); got != ipxe {
		t.Errorf("after iPXE started: %s, want %s", got, ipxe)
	}
}

// Many machines do not make it grow for ever, and the latest are remembered.
func TestTrialsForget(t *testing.T) {
	var trials loaders.Trials
	trials.SetChains(site)
	client := firmware.Client{Arch: []firmware.Arch{firmware.ArchEFI64}, VendorClass: "PXEClient:Arch:00007"}
	for i := range 40_000 {
		client.MAC = []byte{2, 0, 0, byte(i >> 16), byte(i >> 8), byte(i)}
		offer, _ := firmware.Select(firmware.Methods(), client, firmware.Endpoint{})
		trials.Next(client, offer, pxe.LoaderChoice{})
	}
	if trials.Handed([]byte{2, 0, 0, 0, 0, 0}) != "" || trials.Handed(client.MAC) == "" {
		t.Errorf("the first %q, the last %q", trials.Handed([]byte{2, 0, 0, 0, 0, 0}), trials.Handed(client.MAC))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("MZ"))
	if data, err := os.ReadFile("/usr/lib/ipxe/snponly.efi"); err == nil {
		f.Add(data[:min(len(data), 4096)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := loaders.Parse(data)
		if err == nil && p.Arch == "" {
			t.Errorf("%+v", p)
		}
		_ = p.CAs()
	})
}

func Example() {
	data, err := os.ReadFile("/usr/lib/shim/shimx64.efi.signed")
	if err != nil {
		return
	}
	program, err := loaders.Parse(data)
	fmt.Println(program.Arch, program.CAs(), program.Vendor, err)
}
