package bootlog_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/pxe/bootlog"
)

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		name, packet string
		want         []string
	}{
		{"RFC 3164", "<30>Dec  1 01:44:00 node1 dhclient[77]: No DHCPOFFERS received.\n", []string{"dhclient[77]: No DHCPOFFERS received."}},
		{"RFC 3164 of a kernel", "<6>Oct 11 22:14:15 node1 kernel: [    1.5] e1000: link up", []string{"kernel: [    1.5] e1000: link up"}},
		{"without a host", "<13>Oct 11 22:14:15 root: text", []string{"root: text"}},
		{"host is an IPv6 address", "<13>Oct 11 22:14:15 fd00::7 root: text", []string{"root: text"}},
		{"without a time", "<13>tag: text", []string{"tag: text"}},
		{"rsyslog", "<13>2026-01-02T03:04:05.678901+01:00 node1 tag: text", []string{"tag: text"}},
		{"RFC 5424", `<165>1 2026-01-02T03:04:05.003Z node1 dracut 711 - [a@1 x="]\"" y="2"][b@1 z="3"] ` + "\ufeffwarn: text", []string{"dracut[711]: warn: text"}},
		{"RFC 5424 without data", "<34>1 - - su - ID47 - 'su root' failed", []string{"su: 'su root' failed"}},
		{"RFC 5424 without a program", "<34>1 - - - - - - text", []string{"text"}},
		{"RFC 5424 without a text", "<34>1 - - su - - -", []string{"su:"}},
		{"RFC 5424 cut off", `<34>1 - - su - - [a x="`, []string{`1 - - su - - [a x="`}},
		{"netconsole", "[    2.123456] Kernel panic - not syncing: VFS\n[    2.2] CPU: 0\n", []string{"[    2.123456] Kernel panic - not syncing: VFS", "[    2.2] CPU: 0"}},
		{"netconsole, extended", "4,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n DEVICE=n2\n", []string{"NET: Registered"}},
		{"netconsole, extended with release", "6.4.0,6,444,501151268,-,caller=T1;netconsole: started\n", []string{"netconsole: started"}},
		{"no header of a kernel", "a,b,c,d;text; more", []string{"a,b,c,d;text; more"}},
		{"control characters", "\x1b[1;31mred\x1b[0m\a\ttext\x00\r\n", []string{"red text"}},
		{"not UTF-8", "caf\xe9 r\u00e9seau", []string{"caf\ufffd r\u00e9seau"}},
		{"empty", "\n \n", nil},
		{"only a priority", "<13>", nil},
		{"no priority", "<1234>x", []string{"<1234>x"}},
	} {
		if diff := cmp.Diff(tt.want, bootlog.Lines([]byte(tt.packet))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
	if got := bootlog.Lines([]byte(strings.Repeat("x\n", 1000))); len(got) != 64 {
		t.Errorf("%d lines of one packet", len(got))
	}
	if got := bootlog.Lines([]byte(strings.Repeat("\u20ac", 1000))); len(got) != 1 || len(got[0]) > 512 || strings.Trim(got[0], "\u20ac") != "" {
		t.Errorf("a long line became %q", got)
	}
}

func sizeOf(lines []string) (n int) {
	for _, l := range lines {
		n += len(l) + 1
	}
	return n
}

// The last lines stay, and the line that says why, however much is logged after it.
func TestTail(t *testing.T) {
	const why = "Initramfs unpacking failed: write error"
	lines := []string{"first", "IP-Config: no response after 60 secs - giving up", why}
	for range 500 {
		lines = append(lines, "dracut-initqueue[700]: Warning: dracut-initqueue: timeout, still waiting")
	}
	lines = append(lines, "last")
	got := bootlog.Tail(lines)
	if n := sizeOf(got); n > 4096 || n < 4000 {
		t.Errorf("%d bytes", n)
	}
	if got[0] != why || got[len(got)-1] != "last" || strings.HasPrefix(got[1], "Initramfs") {
		t.Errorf("%q ... %q", got[:2], got[len(got)-1])
	}
	if diff := cmp.Diff(got, bootlog.Tail(got)); diff != "" {
		t.Errorf("the tail of a tail (-want +got)\n%s", diff)
	}
	if got := bootlog.Tail([]string{"a", strings.Repeat("x", 10_000)}); len(got) != 2 || len(got[1]) != 512 {
		t.Errorf("a long line became %d lines", len(got))
	}
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		"<30>Dec  1 01:44:00 node1 dhclient[77]: text\n", `<165>1 2026-01-02T03:04:05.003Z n d 711 - [a@1 x="]\""] text`, "4,339,5140900,-;NET\n SUBSYSTEM=net\n",
		"[ 2.1] Kernel panic - not syncing: VFS\n", "<13>", "<", "\x1b[", "\x1b[3", "<1>1 - - - - - [", "6.4.0,6,4,5,-;x", "Initramfs unpacking failed: write error",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		lines := bootlog.Lines(packet)
		if len(lines) > 64 {
			t.Fatalf("%d lines", len(lines))
		}
		for _, line := range lines {
			if line == "" || len(line) > 512 || strings.ContainsAny(line, "\n\r\x1b\x00") {
				t.Fatalf("line %q", line)
			}
		}
		tail := bootlog.Tail(lines)
		if n := sizeOf(tail); n > 4096 {
			t.Fatalf("%d bytes", n)
		}
		if again := bootlog.Tail(tail); !cmp.Equal(tail, again) {
			t.Fatalf("the tail of a tail: %s", cmp.Diff(tail, again))
		}
	})
}
