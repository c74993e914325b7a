package boottest_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/firmware"
)

// script boots a machine with a script of its loader and returns how it ended.
func script(t *testing.T, cfg boottest.MachineConfig, lang firmware.Language, text string) (*boottest.Report, error) {
	t.Helper()
	var report *boottest.Report
	var err error
	run(t, withProfile(pxe.Profile{Kind: pxe.Script, Text: map[firmware.Language]string{lang: text}}), func(s *site) {
		cfg.MAC = []byte{0x52, 0x54, 0, 0, 0, 7}
		report, err = s.segment.NewMachine(cfg).Boot(t.Context())
	})
	return report, err
}

func TestIPXE(t *testing.T) {
	tests := []struct {
		name, script string
		console      []string
		kind         boottest.Outcome
		cmdline      string
	}{
		{"boot", "kernel /images/vmlinuz a=1 b\ninitrd /images/initrd\nboot", nil, boottest.Linux, "a=1 b"},
		{"imgargs", "kernel --name k http://192.0.2.1:5248/images/vmlinuz old\nimgargs k initrd=i new\nboot", nil, boottest.Linux, "initrd=i new"},
		{"settings", "set a 1\nset b:string two words\ninc a 41\necho ${a} ${b} ${none}.", []string{"42 two words ."}, boottest.NextDevice, ""},
		{"facts", "echo ${net0/mac:hexhyp} ${mac} ${platform} ${buildarch} ${next-server} ${netX/ip}", []string{"52-54-00-00-00-07 52:54:00:00:00:07 pcbios i386 192.0.2.1 192.0.2."}, boottest.NextDevice, ""},
		{"or", "iseq 1 2 || echo no\niseq 1 1 || echo never\niseq 1 2 && echo never ||\necho end", []string{"no", "end"}, boottest.NextDevice, ""},
		{"labels", "goto there\necho never\n:there\nisset ${nothing} || goto out\necho never\n:out\necho here", []string{"here"}, boottest.NextDevice, ""},
		{"a failing line ends the script", "imgargs none\necho never", []string{`ipxe: imgargs none: no image "none"`}, "", ""},
		{"unknown command", "frobnicate || echo caught", []string{"caught"}, boottest.NextDevice, ""},
		{"retry", "set n 0\n:again\ninc n\necho try ${n}\niseq ${n} 3 || goto again\nkernel /images/none || kernel /images/vmlinuz x\nboot", []string{"try 1", "try 2", "try 3"}, boottest.Linux, "x"},
		{"exit", "exit 1\necho never", nil, boottest.NextDevice, ""},
		{"local disk", "sanboot --no-describe --drive 0x80 || exit 1", nil, boottest.LocalDisk, ""},
		{"power", "poweroff", nil, boottest.PoweredOff, ""},
		{"reboot", "reboot", nil, boottest.Rebooted, ""},
		{"endless", ":a\ngoto a", nil, "", ""},
		{"chain to a loader", "chain undionly.kpxe", nil, "", ""},
		{"comments and continued lines", "# nothing\n\necho one \\\ntwo", []string{"one two"}, boottest.NextDevice, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := script(t, boottest.MachineConfig{Disk: tt.kind == boottest.LocalDisk}, firmware.IPXE, "#!ipxe\n"+tt.script+"\n")
				if (err == nil) != (tt.kind != "") || r.Running.Kind != tt.kind || r.Running.Cmdline != tt.cmdline {
					t.Errorf("ended in %q with %q, %v; want %q with %q\n%q", r.Running.Kind, r.Running.Cmdline, err, tt.kind, tt.cmdline, r.Console)
				}
				for i, want := range tt.console {
					if i >= len(r.Console) || !strings.HasPrefix(r.Console[i], want) {
						t.Errorf("console (-want +got)\n%s", cmp.Diff(tt.console, r.Console))
						break
					}
				}
			})
		})
	}
}

// TestGRUB runs configurations below the boot server's own, which ends in "exit 1" when they boot nothing.
func TestGRUB(t *testing.T) {
	tests := []struct {
		name, script string
		console      []string
		kind         boottest.Outcome
		cmdline      string
	}{
		{"boot", "linux /images/vmlinuz a 'b  c'\ninitrd /images/initrd\nboot", nil, boottest.Linux, "BOOT_IMAGE=/images/vmlinuz a b  c"},
		{"device", "linux (tftp,192.0.2.1)/images/vmlinuz\nboot", nil, boottest.Linux, "BOOT_IMAGE=(tftp,192.0.2.1)/images/vmlinuz"},
		{"variables", "set a=1; b='x y'\necho \"$a-${b}\" $b '$a' \\$a $none.", []string{"1-x y x y $a $a ."}, boottest.SetupMenu, ""},
		{"if", "if [ -n \"$none\" ]; then echo never; elif [ \"$grub_cpu\" = x86_64 ]; then echo cpu; else echo never; fi\nif [ ! -n x ]; then echo never; else echo other; fi", []string{"cpu"}, boottest.SetupMenu, ""},
		{"for", "for i in 1 2 \"3 4\"; do echo \"i=$i\"; done", []string{"i=1", "i=2", "i=3 4"}, boottest.SetupMenu, ""},
		{"while", "set n=x\nwhile [ \"$n\" != xxx ]; do echo $n; set n=${n}x; done", []string{"x", "xx"}, boottest.SetupMenu, ""},
		{"function", "function hello { echo \"hello\"; }\nhello", []string{"hello"}, boottest.SetupMenu, ""},
		{"menu", "set default=1\nmenuentry 'first' --class x { echo never }\nmenuentry \"second\" {\n linux /images/vmlinuz q\n}\n", []string{`grub: menu entry "second"`}, boottest.Linux, "BOOT_IMAGE=/images/vmlinuz q"},
		{"submenu", "submenu 'more' { menuentry 'in' { linux /images/vmlinuz ; } }", nil, boottest.Linux, "BOOT_IMAGE=/images/vmlinuz"},
		{"retry", "for try in 1 2; do\n if linux /images/none; then\n boot\n fi\n echo \"try $try\"\n sleep 3\ndone\nexit 1", []string{"grub: linux /images/none", "try 1"}, boottest.SetupMenu, ""},
		{"no http in the signed image", "linux (http,192.0.2.1:5248)/images/vmlinuz\nboot", []string{"grub: linux (http,192.0.2.1:5248)/images/vmlinuz: device http: the signed image has no such module"}, boottest.SetupMenu, ""},
		{"local disk", "if search --set=d --file /efi/boot/bootx64.efi; then chainloader ($d)/efi/boot/bootx64.efi; boot; fi", nil, boottest.LocalDisk, ""},
		{"chain to a loader", "chainloader /snponly.efi\nboot", nil, boottest.SetupMenu, ""},
		{"unknown command", "frobnicate\necho on", []string{"grub: frobnicate : can't find command", "on"}, boottest.SetupMenu, ""},
		{"halt", "halt", nil, boottest.PoweredOff, ""},
		{"endless", "while true; do true; done", nil, "", ""},
		{"itself", "configfile /grub/grub.cfg", nil, boottest.SetupMenu, ""},
		{"open quote", "echo 'a", nil, boottest.SetupMenu, ""},
		{"open if", "if true; then echo a", nil, boottest.SetupMenu, ""},
		{"stray fi", "fi", nil, boottest.SetupMenu, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := boottest.MachineConfig{Firmware: boottest.UEFIShimGRUB, Disk: tt.kind == boottest.LocalDisk}
				r, err := script(t, cfg, firmware.GRUB, tt.script+"\n")
				if (err == nil) != (tt.kind != "") || r.Running.Kind != tt.kind || r.Running.Cmdline != tt.cmdline {
					t.Errorf("ended in %q with %q, %v; want %q with %q\n%q", r.Running.Kind, r.Running.Cmdline, err, tt.kind, tt.cmdline, r.Console)
				}
				for i, want := range tt.console {
					if i >= len(r.Console) || !strings.HasPrefix(r.Console[i], want) {
						t.Errorf("console (-want +got)\n%s", cmp.Diff(tt.console, r.Console))
						break
					}
				}
			})
		})
	}
}
