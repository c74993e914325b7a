package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Two racks without files of their own serve those of a region's directory. Each takes what its
// neighbor has from there. A rack that is killed in the middle goes on with what it has, and both
// serve without the region.
func TestRacksFetchBootFiles(t *testing.T) {
	netlab.Require(t, netlab.Root, netlab.Program("curl", "curl"))
	lab := netlab.New(t)
	regionNS, sw := lab.NS("region"), lab.NS("switch")
	sw.Bridge("br0")
	join := func(ns *netlab.NS, port, address string) {
		lab.Veth(ns, "eth0", sw, port)
		sw.Port("br0", port)
		ns.Addr("eth0", address)
	}
	join(regionNS, "p-region", "192.0.2.10/24")
	files, data := t.TempDir(), filepath.Join(t.TempDir(), "region")
	big := make([]byte, 48<<20+12345)
	rand.NewChaCha8([32]byte{1}).Read(big)
	for name, content := range map[string][]byte{"tools/memtest.bin": []byte("memtest"), "tools/big.img": big} {
		file := filepath.Join(files, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	region := newProcess(t, regionNS, "region", "--data", data, "--files", files)
	region.start()
	ready := func(what string, args ...string) {
		eventually(t, what, func() bool {
			out, err := maas(t, append(args, "--data", data)...)
			return err == nil && strings.Contains(out, "tools/big.img")
		})
	}
	ready("the region has its files", "image", "show", ".")
	checkProfiles(t, data)

	racks, clients := make([]*process, 2), make([]*netlab.NS, 2)
	for i := range racks {
		name := fmt.Sprint("rack-", i+1)
		ns := lab.NS(name)
		join(ns, "p-"+name, fmt.Sprintf("192.0.2.%d/24", i+1))
		clients[i] = ns // a machine beside it asks for the same
		racks[i] = newProcess(t, ns, "rack", "--data", filepath.Join(t.TempDir(), name), "--interface", "eth0", "--name", name, "--no-dhcp", "--dhcp-force")
		token, err := maas(t, "region", "token", "create", "--accept-networks", "--data", data)
		if err != nil {
			t.Fatal(token)
		}
		racks[i].start("--enrol-file", tokenFile(t, token))
		eventually(t, name+" serves the small file", func() bool {
			out, err := fetched(t, ns, i+1, "tools/memtest.bin")
			return err == nil && string(out) == "memtest"
		})
	}
	// Killed as soon as it has begun: what it has afterwards is whole pieces and a torn one.
	begun := clients[0].Command(t.Context(), "curl", "-s", "-o", "/dev/null", "--range", "0-100", "http://192.0.2.1:5248/images/tools/big.img")
	if err := begun.Run(); err != nil {
		t.Fatal(err)
	}
	racks[0].kill()
	racks[0].start()
	for i := range racks {
		eventually(t, "the rack serves the large file", func() bool {
			out, err := fetched(t, clients[i], i+1, "tools/big.img")
			if err == nil && len(out) == len(big) && !bytes.Equal(out, big) {
				t.Fatal("a rack served something else")
			}
			return err == nil && bytes.Equal(out, big)
		})
		region.kill() // so that the second rack has it from the first
	}
	if n := counted(t, clients[1], 2, "maas_boot_images_fetched_bytes_total"); n < int64(len(big)) || n > int64(len(big))+100 {
		t.Errorf("the second rack fetched %d bytes of %d", n, len(big))
	}
}

// checkProfiles checks that profiles name files that exist.
func checkProfiles(t *testing.T, data string) {
	t.Helper()
	profile := filepath.Join(t.TempDir(), "profile.json")
	for kernel, fits := range map[string]bool{"tools/memtest.bin": true, "tools/memtest": false} {
		if err := os.WriteFile(profile, []byte(`{"kernel": "`+kernel+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := maas(t, "boot-profile", "set", profile, "--data", data)
		if (err == nil) != fits || !fits && !strings.Contains(out, "existing are tools/big.img, tools/memtest.bin") {
			t.Errorf("%s: %v %s", kernel, err, out)
		}
	}
}

func fetched(t *testing.T, ns *netlab.NS, rack int, name string) ([]byte, error) {
	return ns.Command(t.Context(), "curl", "-sf", fmt.Sprintf("http://192.0.2.%d:5248/images/%s", rack, name)).Output()
}

// counted returns a counter of a rack.
func counted(t *testing.T, ns *netlab.NS, rack int, name string) int64 {
	t.Helper()
	page, err := ns.Command(t.Context(), "curl", "-sf", fmt.Sprintf("http://192.0.2.%d:5248/metrics", rack)).Output()
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(page)
	if err != nil || found == nil {
		t.Fatalf("no %s: %v", name, err)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(n)
}
