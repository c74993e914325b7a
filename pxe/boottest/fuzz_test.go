package boottest

import (
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// newFuzzBoot returns a boot on an empty segment, with firmware that speaks no HTTP.
func newFuzzBoot() *boot {
	s := NewSegment(netip.MustParsePrefix("192.0.2.0/24"))
	m := s.NewMachine(MachineConfig{Impatient: true})
	fw := UEFIiPXE
	fw.UserAgent = ""
	return &boot{Machine: m, fw: fw, report: &Report{}, lease: &Lease{}, quiet: true}
}

// FuzzGRUB parses and runs configurations: they end, without a panic, whatever they say.
func FuzzGRUB(f *testing.F) {
	for _, seed := range []string{
		"set a=1\nif [ \"$a\" = 1 ]; then echo ok; else exit 1; fi\n",
		"for i in 1 2; do if linux '/k' a=\"b c\"; then boot; fi; done",
		"menuentry 'x' --class y { linux (none)/k ; initrd /i }\nfunction f { f; }\nf",
		"while true; do until false; do echo ${x}$y\\$z; done; done",
		"set timeout=5\nset default=b\nmenuentry 'x' --id a { halt }\nmenuentry y --id b { configfile (none)/c ; reboot }\nmenuentry --id",
		"submenu a { submenu b { menuentry c { halt } } }",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "tftp") {
			t.Skip("would wait for an answer")
		}
		stmts, err := parseGRUB(text)
		if err != nil {
			return
		}
		g := &grub{boot: newFuzzBoot(), vars: map[string]string{"root": "none"}, functions: map[string][]grubStmt{}}
		var menu grubMenu
		if g.exec(t.Context(), stmts, &menu) == nil {
			g.runMenu(t.Context(), menu)
		}
		if g.steps > maxSteps+maxNesting {
			t.Errorf("%d statements", g.steps)
		}
	})
}

// FuzzPXELinux parses and runs configurations: they end, without a panic, whatever they say.
func FuzzPXELinux(f *testing.F) {
	for _, seed := range []string{
		"DEFAULT a\nPROMPT 1\nTIMEOUT 9\nONERROR b\nLABEL a\n  KERNEL none://x\n  INITRD a,b\n  APPEND c\n  SYSAPPEND 2\nLABEL b\nLOCALBOOT 0",
		"default x\nlabel x\nconfig none://y", "DEFAULT p\nLABEL p\nCOM32 none://poweroff.c32", "LABEL\nKERNEL\n::",
		"DEFAULT a\nPROMPT 1\nTIMEOUT 99\nSAY x\nLABEL a\n  CONFIG none://x\n  MENU LABEL y\nLABEL b\n  LOCALBOOT 0",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := &pxelinux{boot: newFuzzBoot(), text: parsePXELinux(text)}
		for name, l := range p.text.labels {
			if strings.Contains(p.url(l.kernel)+p.url(l.com32)+p.url(l.config), "tftp:") {
				continue // would wait for an answer
			}
			if err := p.label(t.Context(), name); err == nil {
				t.Errorf("label %q of %q came back without a word", name, text)
			}
		}
	})
}

// FuzzIPXE runs scripts: they end, without a panic, whatever they say.
func FuzzIPXE(f *testing.F) {
	for _, seed := range []string{
		"set a:int32 1\ninc a\niseq ${a} 2 && echo yes || goto no\n:no\nexit 1\n",
		"kernel --name k k.img a=${b:hexhyp} || imgfree\nchain --replace --autofree x || exit\nboot",
		":l\nset x ${x}${x}a\ngoto l", "echo ${${a}} ${net0/mac:hexraw} \\\n && || && poweroff", "sleep 3\nsanboot --drive 0x80",
		"menu Lab\nitem --gap x\nitem --key a a A\nitem b B\nchoose --default b --timeout 1000 e || exit\necho ${e}\nitem --key\nchoose --default\nchoose x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "tftp") {
			t.Skip("would wait for an answer")
		}
		newFuzzBoot().ipxe(t.Context(), text, "none://x/script.ipxe")
	})
}

// FuzzTFTP gives the TFTP client packets of a server: it takes no byte out of order and no block larger than agreed on.
func FuzzTFTP(f *testing.F) {
	pack := func(packets ...string) (b []byte) {
		for _, p := range packets {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
		}
		return b
	}
	f.Add(pack("\x00\x06blksize\x008\x00windowsize\x004\x00tsize\x0020\x00", "\x00\x03\x00\x0112345678", "\x00\x03\x00\x0212345678", "\x00\x03\x00\x031234"))
	f.Add(pack("\x00\x03\x00\x01abc"))
	f.Add(pack("\x00\x05\x00\x01file not found\x00"))
	f.Add(pack("\x00\x06blksize\x00x\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newFuzzBoot()
		conn, err := b.node.listenUDP(0)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fetch := &Fetch{BlockSize: 512, WindowSize: 1}
		g := &tftpGet{conn: conn, server: netip.MustParseAddrPort("192.0.2.1:69"), opts: TFTPOptions{BlockSize: 1468, WindowSize: 4, AskSize: true}, out: io.Discard, fetch: fetch, tick: func() {}}
		for len(data) > 2 {
			n := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
			done, _, err := g.handle(data[2 : 2+n])
			data = data[2+n:]
			if fetch.BlockSize > 1468 || fetch.WindowSize > 4 || fetch.BlockSize < 8 {
				t.Fatalf("agreed on %d/%d", fetch.BlockSize, fetch.WindowSize)
			}
			if done || err != nil {
				return
			}
			if uint64(fetch.Bytes) != g.block*uint64(fetch.BlockSize) {
				t.Fatalf("%d bytes in %d blocks of %d", fetch.Bytes, g.block, fetch.BlockSize)
			}
		}
	})
}
