package pxe_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is an event that took a second, sec seconds after t0.
func at(sec int, stage pxe.Stage, path string, more ...func(*pxe.Event)) pxe.Event {
	e := pxe.Event{Time: t0.Add(time.Duration(sec) * time.Second), Duration: time.Second, Stage: stage, MAC: testMAC, Path: path, Proto: "tftp", Bytes: 100, Size: 100}
	if stage == pxe.StageOffer {
		e.Duration, e.Bytes, e.Size = 0, 0, -1
		e.Method = "uefi-amd64-pxe"
		if strings.HasPrefix(path, "http") {
			e.Method = "ipxe"
		}
	}
	for _, f := range more {
		f(&e)
	}
	return e
}

func absent(e *pxe.Event) { e.Absent, e.Bytes, e.Size = true, 0, -1 }
func probe(e *pxe.Event)  { e.Probe, e.Bytes = true, 0 }

func reduce(events ...pxe.Event) (all []pxe.Attempt) {
	var a pxe.Attempt
	for _, e := range events {
		next := a.Next(e)
		if len(all) == 0 || next.Start != a.Start {
			all = append(all, next)
		}
		all[len(all)-1] = next
		a = next
	}
	return all
}

func TestAttemptOfShimAndGRUB(t *testing.T) {
	got := reduce(
		at(0, pxe.StageOffer, "shimx64.efi"), at(4, pxe.StageOffer, "shimx64.efi"),
		at(5, pxe.StageLoader, "shimx64.efi", probe), at(6, pxe.StageLoader, "shimx64.efi"),
		at(7, pxe.StageLoader, "revocations_sku.efi", absent), at(9, pxe.StageLoader, "grubx64.efi"),
		at(10, pxe.StageConfig, "grub/grub.cfg"), at(12, pxe.StageKernel, "vmlinuz"), at(13, pxe.StageInitrd, "initrd"),
		at(20, pxe.StageRunning, "done"),
	)
	if len(got) != 1 {
		t.Fatalf("%d attempts", len(got))
	}
	a := got[0]
	var steps []string
	for _, s := range a.Steps {
		steps = append(steps, string(s.Stage)+" "+s.Path)
	}
	want := []string{"offer shimx64.efi", "loader shimx64.efi", "loader revocations_sku.efi", "loader grubx64.efi",
		"config grub/grub.cfg", "kernel vmlinuz", "initrd initrd", "running done"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s := a.Steps[1]; s.Tries != 1 || s.Duration != 2*time.Second || s.Bytes != 100 {
		t.Errorf("probe and fetch became %+v", s)
	}
	if d := a.Diagnosis(t0); !a.Running || d != "running, 20.0 s after power-on was noticed" || a.Method != "uefi-amd64-pxe" {
		t.Errorf("%+v: %s", a, d)
	}
}

func TestAttemptsAreToldApart(t *testing.T) {
	tests := []struct {
		name   string
		events []pxe.Event
		want   int
	}{
		{"loader then iPXE", []pxe.Event{at(0, pxe.StageOffer, "undionly.kpxe"), at(1, pxe.StageLoader, "undionly.kpxe"),
			at(2, pxe.StageOffer, "http://s/script"), at(3, pxe.StageConfig, "script")}, 1},
		{"reset before the loader came", []pxe.Event{at(0, pxe.StageOffer, "shimx64.efi"), at(60, pxe.StageOffer, "shimx64.efi")}, 1},
		{"reset after it", []pxe.Event{at(0, pxe.StageOffer, "shimx64.efi"), at(2, pxe.StageLoader, "shimx64.efi"), at(60, pxe.StageOffer, "shimx64.efi")}, 2},
		{"power cycle", []pxe.Event{at(0, pxe.StageOffer, "http://s/script"), at(3, pxe.StageRunning, "done"), at(4, pxe.StageOffer, "http://s/script")}, 2},
		{"no DHCP of ours", []pxe.Event{at(0, pxe.StageLoader, "shimx64.efi"), at(1, pxe.StageKernel, "k"), at(90, pxe.StageLoader, "shimx64.efi")}, 2},
		{"back after an hour", []pxe.Event{at(0, pxe.StageLoader, "shimx64.efi"), at(3600, pxe.StageLoader, "shimx64.efi")}, 2},
		{"report of a slow installer", []pxe.Event{at(0, pxe.StageInitrd, "i"), at(3600, pxe.StageRunning, "done")}, 1},
	}
	for _, tt := range tests {
		if got := reduce(tt.events...); len(got) != tt.want {
			t.Errorf("%s: %d attempts, want %d", tt.name, len(got), tt.want)
		}
	}
	var a pxe.Attempt
	for i := range 1000 {
		a = a.Next(at(i, pxe.StageConfig, strings.Repeat("x", i%7)))
	}
	if len(a.Steps) > 200 {
		t.Errorf("%d steps of a machine in a loop", len(a.Steps))
	}
}

// The end of a transfer may be reported after requests that began later.
func TestLateEventsBelongToTheirBoot(t *testing.T) {
	late := func(began, ended int, stage pxe.Stage, path string) pxe.Event {
		e := at(ended, stage, path)
		e.Duration = time.Duration(ended-began) * time.Second
		return e
	}
	for _, tt := range []struct {
		name   string
		events []pxe.Event
		want   []string // the steps of the last boot
		boots  int
	}{
		{"loader after the kernel, no DHCP of ours", []pxe.Event{
			late(2, 3, pxe.StageLoader, "grubx64.efi"), late(4, 5, pxe.StageConfig, "grub.cfg"), late(6, 8, pxe.StageKernel, "vmlinuz"),
			late(1, 9, pxe.StageLoader, "shimx64.efi"),
		}, []string{"shimx64.efi", "grubx64.efi", "grub.cfg", "vmlinuz"}, 1},
		{"loader after the report", []pxe.Event{
			late(6, 8, pxe.StageKernel, "vmlinuz"), late(9, 9, pxe.StageRunning, "done"), late(1, 10, pxe.StageLoader, "shimx64.efi"),
		}, []string{"shimx64.efi", "vmlinuz", "done"}, 1},
		{"second offer after its loader", []pxe.Event{
			late(0, 0, pxe.StageOffer, "shimx64.efi"), late(2, 3, pxe.StageLoader, "shimx64.efi"), late(1, 1, pxe.StageOffer, "shimx64.efi"),
		}, []string{"shimx64.efi", "shimx64.efi"}, 1},
		{"kernel and initrd at once", []pxe.Event{
			late(3, 4, pxe.StageInitrd, "initrd"), late(2, 9, pxe.StageKernel, "vmlinuz"),
		}, []string{"vmlinuz", "initrd"}, 1},
		{"second request of a file", []pxe.Event{
			late(1, 3, pxe.StageLoader, "shimx64.efi"), late(4, 5, pxe.StageKernel, "vmlinuz"), late(2, 6, pxe.StageLoader, "shimx64.efi"),
		}, []string{"shimx64.efi", "vmlinuz"}, 1},
		{"another boot", []pxe.Event{
			late(2, 3, pxe.StageKernel, "vmlinuz"), late(60, 61, pxe.StageLoader, "shimx64.efi"),
		}, []string{"shimx64.efi"}, 2},
		{"another boot at a rack whose clock is 5 minutes behind", []pxe.Event{
			late(402, 403, pxe.StageKernel, "vmlinuz"), late(160, 161, pxe.StageLoader, "shimx64.efi"),
		}, []string{"shimx64.efi"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			boots := reduce(tt.events...)
			last := boots[len(boots)-1]
			var got []string
			for _, s := range last.Steps {
				got = append(got, s.Path)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || len(boots) != tt.boots {
				t.Errorf("%d boots, want %d; steps of the last (-want +got):\n%s", len(boots), tt.boots, diff)
			}
			for _, s := range last.Steps {
				if s.End.After(last.Last) || s.Duration != s.End.Sub(s.Start) {
					t.Errorf("%+v of a boot until %v", s, last.Last)
				}
			}
		})
	}
}

func TestDiagnosis(t *testing.T) {
	stalled := func(bytes int64) func(*pxe.Event) {
		return func(e *pxe.Event) {
			e.Size, e.Bytes, e.BlockSize, e.Retransmits, e.Err = 1_000_000, bytes, 1000, 5, "tftp: peer stopped answering"
		}
	}
	tests := []struct {
		name   string
		events []pxe.Event
		want   string
	}{
		{"nothing", nil, "nothing heard"},
		{"never asked", []pxe.Event{at(0, pxe.StageOffer, "shimx64.efi")}, "never asked for it: another DHCP server won"},
		{"an address only", []pxe.Event{at(0, pxe.StageOffer, "")}, "asked for no configuration"},
		{"gave up without a loader's part", []pxe.Event{at(0, pxe.StageLoader, "mmx64.efi", absent)}, "asked for mmx64.efi, which there is not, and gave up"},
		{"server's own failure", []pxe.Event{at(0, pxe.StageConfig, "c", func(e *pxe.Event) { e.Err = "database is down" })}, "could not fetch c: database is down"},
		{"connection cut", []pxe.Event{at(0, pxe.StageKernel, "k", func(e *pxe.Event) { e.Proto, e.Err = "http", "ended after 5 bytes" })}, "could not fetch k: ended after 5 bytes"},
		{"installer", []pxe.Event{at(0, pxe.StageKernel, "onie-installer", func(e *pxe.Event) { e.Method = "onie" })}, "the installer does not report"},
		{"stalled at once", []pxe.Event{at(0, pxe.StageLoader, "f", stalled(0))}, "stalled at block 1 of f (blocks of 1000 bytes) after 5 retransmissions: packets of this size"},
		{"stalled later", []pxe.Event{at(0, pxe.StageKernel, "f", stalled(411_000))}, "stalled at block 412 of f (blocks of 1000 bytes) after 5 retransmissions: the machine is off or its link is down"},
		{"missing loader", []pxe.Event{at(0, pxe.StageLoader, "grubx64.efi", absent, func(e *pxe.Event) { e.Absent, e.Err = false, "install grub-efi-amd64-signed" })},
			"could not fetch grubx64.efi: install grub-efi-amd64-signed"},
		{"no profile", []pxe.Event{at(0, pxe.StageConfig, "c", absent)}, "it has no profile"},
		{"loader did not start", []pxe.Event{at(0, pxe.StageLoader, "shimx64.efi")}, "Secure Boot of the firmware refuses its signature"},
		{"GRUB hangs", []pxe.Event{at(0, pxe.StageOffer, "shimx64.efi"), at(1, pxe.StageLoader, "shimx64.efi"), at(3, pxe.StageLoader, "grubx64.efi")},
			"fetched grubx64.efi and nothing after it: GRUB was loaded and never asked again"},
		{"GRUB hangs after its lists", []pxe.Event{at(0, pxe.StageLoader, "grubx64.efi"), at(2, pxe.StageLoader, "grub/x86_64-efi/fs.lst", absent)},
			"GRUB was loaded and never asked again"},
		{"shim is refused, and firmware begins again", []pxe.Event{at(0, pxe.StageLoader, "2023/shimx64.efi"), at(4, pxe.StageOffer, "")},
			"fetched 2023/shimx64.efi and nothing after it: Secure Boot"},
		{"iPXE runs, and its request is lost", []pxe.Event{at(0, pxe.StageLoader, "snponly.efi"), at(4, pxe.StageOffer, "http://192.0.2.1/x")}, "never asked for it"},
		{"iPXE is refused", []pxe.Event{at(0, pxe.StageLoader, "/snponly.efi")}, "iPXE was loaded and never asked again"},
		{"another loader", []pxe.Event{at(0, pxe.StageLoader, "sd-boot.efi")}, "the loader did not start"},
		{"a part of a loader", []pxe.Event{at(0, pxe.StageLoader, "grubx64.efi", func(e *pxe.Event) { e.Size = 1000 })}, "fetched a part of grubx64.efi"},
		{"configuration only", []pxe.Event{at(0, pxe.StageConfig, "c")}, "fetched nothing after it"},
		{"kernel only", []pxe.Event{at(0, pxe.StageKernel, "k")}, "not enough memory"},
		{"silent", []pxe.Event{at(0, pxe.StageInitrd, "i")}, "see its console"},
	}
	for _, tt := range tests {
		var a pxe.Attempt
		for _, e := range tt.events {
			a = a.Next(e)
		}
		if got := a.Diagnosis(t0.Add(time.Minute)); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	for want, e := range map[string]pxe.Event{
		"booting: was offered f":                           at(0, pxe.StageOffer, "f"),
		"booting: has an address and looks for its":        at(0, pxe.StageOffer, ""),
		"booting: asked for c, which there is not":         at(0, pxe.StageConfig, "c", absent),
		"running, 1.0 s after power-on was noticed":        at(0, pxe.StageRunning, "done"),
		"booting: fetched grubx64.efi, 100 bytes in 1.0 s": at(0, pxe.StageLoader, "grubx64.efi"),
	} {
		if got := (pxe.Attempt{}).Next(e).Diagnosis(t0.Add(time.Second)); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	a := pxe.Attempt{}.Next(at(0, pxe.StageKernel, "k"))
	if got := a.Diagnosis(t0.Add(time.Second)); got != "booting: fetched k, 100 bytes in 1.0 s" {
		t.Error(got)
	}
}

// The loader of a boot is the one that firmware was offered last and fetched.
func TestAttemptLoader(t *testing.T) {
	for want, events := range map[string][]pxe.Event{
		"":                 {at(0, pxe.StageOffer, "shimx64.efi")},
		"2023/shimx64.efi": {at(0, pxe.StageOffer, "2023/shimx64.efi"), at(1, pxe.StageLoader, "/2023/shimx64.efi"), at(2, pxe.StageConfig, "grub.cfg")},
		"snponly.efi":      {at(0, pxe.StageOffer, "tftp://[2001:db8::1]/snponly.efi", asPXE), at(1, pxe.StageLoader, "snponly.efi"), at(4, pxe.StageOffer, "http://192.0.2.1/script.ipxe")},
	} {
		var a pxe.Attempt
		for _, e := range events {
			a = a.Next(e)
		}
		if got := a.Loader(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	signed := at(1, pxe.StageLoader, "shimx64.efi", func(e *pxe.Event) { e.Signed = "signed by microsoft-2011" })
	if got := (pxe.Attempt{}).Next(signed).Diagnosis(t0.Add(time.Minute)); !strings.HasPrefix(got, "fetched shimx64.efi (signed by microsoft-2011) and nothing after it") {
		t.Error(got)
	}
}

func asPXE(e *pxe.Event) { e.Method = "uefi-amd64-pxe" }

// What a machine logs stands in its boot, explains why it stopped, and begins none.
func TestLinesOfABoot(t *testing.T) {
	logs := func(sec int, lines ...string) pxe.Event {
		return pxe.Event{Time: t0.Add(time.Duration(sec) * time.Second), Stage: pxe.StageLog, MAC: testMAC, Proto: "udp", Size: -1, Log: lines}
	}
	const failed = "wget: server returned error: HTTP/1.1 404 Not Found"
	boot := []pxe.Event{at(0, pxe.StageOffer, "http://s/script"), at(2, pxe.StageConfig, "script"), at(4, pxe.StageKernel, "vmlinuz"), at(6, pxe.StageInitrd, "initrd")}
	stopped := append(slices.Clone(boot), logs(9, "e1000: link up"), logs(12, failed, "Unable to find a live file system on the network"))
	for _, tt := range []struct {
		name   string
		events []pxe.Event
		now    int
		want   string
		lines  int
	}{
		{"lines go on", append(slices.Clone(boot), logs(9, "e1000: link up")), 20, `booting: logs "e1000: link up"`, 1},
		{"silent after them", append(slices.Clone(boot), logs(9, "e1000: link up")), 90, `it logged last "e1000: link up"`, 1},
		{"a fault", stopped, 90, failed, 3},
		{"more telling than what follows", append(slices.Clone(stopped), logs(14, "BusyBox v1.36.1 built-in shell (ash)")), 90, failed, 4},
		{"a second try", append(slices.Clone(boot), logs(9, "IP-Config: no response after 60 secs - giving up", "IP-Config: eth0 complete (dhcp from 192.0.2.1):")), 90, "logged last \"IP-Config: eth0 complete", 2},
		{"it went on", append(slices.Clone(stopped), at(20, pxe.StageFile, "rootfs")), 90, "loaded everything", 3},
		{"it runs", append(slices.Clone(stopped), at(20, pxe.StageRunning, "done")), 90, "running, 20.0 s", 3},
		{"everyday life", append(slices.Clone(boot), at(20, pxe.StageRunning, "done"), logs(3600, "cron: job")), 3600, "running, 20.0 s", 0},
		{"before the boot", append([]pxe.Event{boot[0], logs(-5, "of the last boot")}, boot[1:]...), 7, "booting: fetched initrd", 0},
		{"of no boot", []pxe.Event{logs(9, "e1000: link up")}, 9, "nothing heard", 0},
	} {
		var a pxe.Attempt
		for _, e := range tt.events {
			a = a.Next(e)
		}
		if got := a.Diagnosis(t0.Add(time.Duration(tt.now) * time.Second)); !strings.Contains(got, tt.want) || len(a.Log) != tt.lines {
			t.Errorf("%s: %s, %q", tt.name, got, a.Log)
		}
	}
	if got := reduce(append(stopped, at(900, pxe.StageOffer, "http://s/script"))...); len(got) != 2 || len(got[0].Log) != 3 || len(got[1].Log) != 0 || got[1].Fault.Name != "" {
		t.Errorf("the next boot is %+v", got)
	}
	var a pxe.Attempt
	for _, e := range boot {
		a = a.Next(e)
	}
	for n := range 1000 {
		before := slices.Clone(a.Log)
		next := a.Next(logs(10+n, strings.Repeat("x", n)))
		if diff := cmp.Diff(before, a.Log); diff != "" {
			t.Fatalf("the attempt before changed (-want +got)\n%s", diff)
		}
		a = next
	}
	if size := len(strings.Join(a.Log, "\n")); size > 4096 || size < 3000 {
		t.Errorf("%d bytes of lines are kept", size)
	}
}
