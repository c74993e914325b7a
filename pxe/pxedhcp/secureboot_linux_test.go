package pxedhcp_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/boottest/qemutest"
	"github.com/gomaas/maas/pxe/firmware"
)

// noHTTP answers all HTTP boots as noV4HTTP does: firmware tries them when PXE has failed.
var noHTTP = firmware.Method{Name: "no-http", VendorClass: "HTTPClient", Loader: "no-http-boot", Proto: firmware.HTTP}

// Firmware that enforces Secure Boot and trusts an old authority, a new one or both, boots by PXE and
// HTTP over IPv4 and IPv6 from a site that has a chain of loaders of each. What it refuses is in the
// timeline, and the next boot takes the other chain. The loaders are Debian's, signed anew.
func TestSecureBootAuthorities(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines without KVM")
	}
	netlab.Require(t, qemutest.VM{Firmware: qemutest.SecureBoot}.Needs()...)
	netlab.Require(t, loaderNeeds([]string{"shimx64.efi", "grubx64.efi", "snponly.efi"})...)
	older, newer := qemutest.NewAuthority(t, "Old Authority"), qemutest.NewAuthority(t, "New Authority")
	dir, guest := t.TempDir(), qemutest.NewGuest(t)
	for name, a := range map[string]qemutest.Authority{"1": older, "2": newer} {
		qemutest.Sign(t, "/usr/lib/shim/shimx64.efi.signed", filepath.Join(dir, name, "shimx64.efi"), a)
		qemutest.Sign(t, "/usr/lib/ipxe/snponly.efi", filepath.Join(dir, name, "snponly.efi"), a)
		grub, err := os.ReadFile("/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed") // which shim's own certificate trusts
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name, "grubx64.efi"), grub, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	kernel := filepath.Join(t.TempDir(), "vmlinuz") // iPXE has the firmware check it, and shim only its own Debian
	qemutest.Sign(t, guest.Kernel, kernel, older, newer)
	machines := []trusting{
		{"new", qemutest.Trusting(t, newer), 1}, {"old", qemutest.Trusting(t, older), 2}, {"both", qemutest.Trusting(t, older, newer), 3},
	}
	for _, row := range []struct {
		name   string
		vm     qemutest.VM
		method firmware.Method
	}{
		{"http-v6", qemutest.VM{IPv6: true, HTTPBoot: true}, noV4HTTP}, {"pxe-v6", qemutest.VM{IPv6: true}, noHTTP},
		{"http-v4", qemutest.VM{HTTPBoot: true}, firmware.Method{}}, {"pxe-v4", qemutest.VM{}, noHTTP},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := &rack{mode: dhcpsrv.ModeServe, guest: guest, loaders: pxe.Loaders(dir)}
			if !row.vm.HTTPBoot { // shim checks kernels by its own certificate
				r.kernel = guest.Kernel
			} else {
				r.kernel = kernel
			}
			methods := firmware.Methods()
			if row.method.Name != "" {
				methods = append([]firmware.Method{row.method}, methods...)
			}
			r.start(t, methods)
			go func() { // that a machine is up, is read from its console
				for {
					select {
					case <-r.up:
					case <-t.Context().Done():
						return
					}
				}
			}()
			var all sync.WaitGroup
			for _, m := range machines {
				all.Go(func() { m.boot(t, r, row.vm) })
			}
			all.Wait()
		})
	}
}

// trusting is a machine by what its firmware trusts.
type trusting struct {
	name, vars string
	number     byte
}

// boot switches the machine on, again while its firmware refuses the loader, until its system runs.
func (m trusting) boot(t *testing.T, r *rack, vm qemutest.VM) {
	vm.Firmware, vm.Vars, vm.MemoryMB, vm.Tap = qemutest.SecureBoot, m.vars, 640, "tap-"+m.name
	vm.MAC = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0xe2, m.number}
	r.ns.Tap("br0", vm.Tap)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	began, refusals := time.Now(), 0
	for {
		vm.Dir = t.TempDir()
		machine := qemutest.Start(t, r.ns, vm)
		seen, err := waitFor(ctx, machine, qemutest.Marker, "Access Denied", "Security Violation")
		machine.Stop()
		if err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, machine.Serial())
			return
		}
		if seen == qemutest.Marker {
			break
		}
		if refusals++; refusals > 3 {
			t.Errorf("%s: refused %d times", m.name, refusals)
			return
		}
		if got := r.diagnosis(vm.MAC); !strings.Contains(got, "(signed by Old Authority) and nothing after it: ") {
			t.Errorf("%s: the diagnosis is %q", m.name, got)
		}
	}
	t.Logf("%s: %.1f s, %d refusals", m.name, time.Since(began).Seconds(), refusals)
	if want := map[string]int{"new": 1}[m.name]; refusals != want {
		t.Errorf("%s: its firmware refused %d loaders, want %d", m.name, refusals, want)
	}
}

// waitFor returns the first of some texts that a console shows.
func waitFor(ctx context.Context, m *qemutest.Machine, texts ...string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		text string
		err  error
	}
	results := make(chan result, len(texts))
	for _, text := range texts {
		go func() { results <- result{text, m.WaitSerial(ctx, text)} }()
	}
	var r result
	for range texts { // a machine that showed one text and is off fails the waits for the others
		if r = <-results; r.err == nil {
			break
		}
	}
	return r.text, r.err
}

// diagnosis is the one of a machine's last boot, without the HTTP boot that firmware tries after PXE.
func (r *rack) diagnosis(mac net.HardwareAddr) string {
	var a pxe.Attempt
	for _, e := range r.all() {
		if e.MAC.String() == mac.String() && !strings.HasSuffix(e.Path, noHTTP.Loader) {
			a = a.Next(e)
		}
	}
	return a.Diagnosis(time.Now().Add(time.Minute))
}
