package boottest_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/firmware"
)

func labMenu() pxe.Profile {
	return pxe.Profile{Name: "lab", Kind: pxe.Menu, Title: "Lab", Default: "one", Timeout: 20 * time.Second,
		Entries: []pxe.MenuEntry{{Profile: "disk", Title: "Local disk"}, {Profile: "one", Title: "System 1"}, {Profile: "more", Title: "More"}, {Profile: "odd"}},
		Profiles: []pxe.Profile{
			{Name: "disk", Kind: pxe.Local},
			{Name: "one", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "entry={profile} of={site}"},
			{Name: "more", Kind: pxe.Menu, Timeout: 5 * time.Second, Entries: []pxe.MenuEntry{{Profile: "two", Title: "System 2"}, {Profile: "off"}}},
			{Name: "two", Kernel: "vmlinuz", Cmdline: "entry={profile}"},
			{Name: "off", Kind: pxe.PowerOff},
			// In a language that none of the loaders here has.
			{Name: "odd", Kind: pxe.Script, Text: map[firmware.Language]string{firmware.ONIE: "x"}},
		},
		Vars: map[string]string{"site": "here"}}
}

// A menu boots by iPXE, GRUB and pxelinux alike: the default after the timeout, an entry that the
// operator chooses by name or by title, and one of a menu further in. The events have the entry.
func TestMenu(t *testing.T) {
	loaders := []struct {
		name    string
		fw      boottest.Firmware
		methods []string
	}{
		{"ipxe", boottest.BIOSiPXE, nil},
		{"ipxe-uefi", boottest.UEFIiPXE, nil},
		{"grub", boottest.UEFIShimGRUB, nil},
		{"pxelinux", boottest.BIOSPXE, []string{"bios-pxelinux"}},
	}
	tests := []struct {
		name    string
		choose  []string
		kind    boottest.Outcome
		cmdline string
		profile string // of the last configuration
		wait    time.Duration
	}{
		{"default", nil, boottest.Linux, "entry=one of=here", "one", 20 * time.Second},
		{"chosen", []string{"one"}, boottest.Linux, "entry=one of=here", "one", 0},
		{"disk", []string{"disk"}, boottest.LocalDisk, "", "disk", 0},
		{"further in, default", []string{"more"}, boottest.Linux, "entry=two", "two", 5 * time.Second},
		{"further in", []string{"more", "off"}, boottest.PoweredOff, "", "off", 0},
		{"not for the loader", []string{"odd"}, boottest.LocalDisk, "", "odd", 0},
	}
	for _, l := range loaders {
		for _, tt := range tests {
			t.Run(l.name+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					change := func(s *boottest.Segment, c *pxe.Config) {
						withProfile(labMenu())(s, c)
						for _, name := range l.methods {
							m, _ := firmware.MethodNamed(name)
							c.Methods = append([]firmware.Method{m}, firmware.Methods()...)
						}
					}
					run(t, change, func(s *site) {
						start := time.Now()
						cfg := boottest.MachineConfig{Firmware: l.fw, Disk: true, Choose: tt.choose}
						r, err := s.segment.NewMachine(cfg).Boot(t.Context())
						kind := r.Running.Kind
						if kind == boottest.NextDevice && tt.kind == boottest.LocalDisk { // UEFI goes on with the disk
							kind = boottest.LocalDisk
						}
						if err != nil || kind != tt.kind || !strings.Contains(r.Running.Cmdline, tt.cmdline) {
							t.Errorf("ended in %q with %q, %v\n%s", r.Running.Kind, r.Running.Cmdline, err, strings.Join(r.Console, "\n"))
						}
						if took := time.Since(start); took < tt.wait || tt.wait == 0 && took > 15*time.Second {
							t.Errorf("took %v, want at least %v", took, tt.wait)
						}
						time.Sleep(time.Minute) // GRUB acknowledges no last block, so its events are late
						var a pxe.Attempt
						for _, e := range s.heard() {
							a = a.Next(e)
						}
						if a.Profile != tt.profile {
							t.Errorf("the timeline has profile %q, want %q", a.Profile, tt.profile)
						}
					})
				})
			})
		}
	}
}

// An entry of a menu that has changed since it was shown, a mistyped choice, and leaving the menu
// end at the disk with a line on the screen, and not in another boot.
func TestMenuGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		change := func(_ *boottest.Segment, c *pxe.Config) {
			c.Resolver = pxe.ResolverFunc(func(context.Context, pxe.Request) (pxe.Profile, error) {
				if n++; n == 1 {
					return labMenu(), nil
				}
				return pxe.Profile{Name: "other", Kernel: "vmlinuz"}, nil
			})
		}
		run(t, change, func(s *site) {
			r, err := s.segment.NewMachine(boottest.MachineConfig{Disk: true, Choose: []string{"System 1"}}).Boot(t.Context())
			if err != nil || r.Running.Kind != boottest.LocalDisk {
				t.Errorf("ended in %q, %v", r.Running.Kind, err)
			}
			if !slices.ContainsFunc(r.Console, func(l string) bool {
				return strings.Contains(l, "maas: local one is no longer in the menu")
			}) {
				t.Errorf("console %q", r.Console)
			}
		})
	})
	synctest.Test(t, func(t *testing.T) {
		run(t, withProfile(labMenu()), func(s *site) {
			r, err := s.segment.NewMachine(boottest.MachineConfig{Disk: true, Choose: []string{"none"}}).Boot(t.Context())
			if err != nil || r.Running.Kind != boottest.LocalDisk {
				t.Errorf("ended in %q, %v: %s", r.Running.Kind, err, cmp.Diff("", strings.Join(r.Console, "\n")))
			}
		})
	})
}
