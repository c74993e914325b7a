package oui_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/gomaas/maas/discovery/oui"
)

func Example() {
	fmt.Println(oui.Lookup([]byte{0xb8, 0x27, 0xeb, 1, 2, 3}))
	// Output: Raspberry Pi Foundation
}

func lists(oui, mam, small string) fstest.MapFS {
	const header = "Registry,Assignment,Organization Name,Organization Address\n"
	return fstest.MapFS{
		"oui.csv":   {Data: []byte(header + oui)},
		"mam.csv":   {Data: []byte(header + mam)},
		"oui36.csv": {Data: []byte(header + small)},
	}
}

func TestLongestPrefixWins(t *testing.T) {
	table, err := oui.Load(lists(
		"MA-L,70B3D5,IEEE Registration Authority,x\nMA-L,00163E,\"Xensource,  Inc.\",x\nMA-L,0055DA,Large,x\nMA-L,FCFFFF,Last,x\n",
		"MA-M,0055DA1,Medium,x\n", "MA-S,0055DA123,Small,x\nMA-S,70B3D5ABC,Tiny,x\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mac  [6]byte
		want string
	}{
		{[6]byte{0x00, 0x16, 0x3e, 1, 2, 3}, "Xensource, Inc."},
		{[6]byte{0x00, 0x55, 0xda, 0x20, 0, 0}, "Large"},
		{[6]byte{0x00, 0x55, 0xda, 0x1f, 0, 0}, "Medium"},
		{[6]byte{0x00, 0x55, 0xda, 0x12, 0x3f, 0}, "Small"},
		{[6]byte{0x70, 0xb3, 0xd5, 0xab, 0xcf, 0xff}, "Tiny"},
		{[6]byte{0x70, 0xb3, 0xd5, 0, 0, 0}, ""},
		{[6]byte{0xfc, 0xff, 0xff, 0xff, 0xff, 0xff}, "Last"},
		{[6]byte{0x02, 0x16, 0x3e, 1, 2, 3}, ""}, // locally administered
		{[6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, ""},
	} {
		if got := table.Lookup(c.mac[:]); got != c.want {
			t.Errorf("%x: got %q, want %q", c.mac, got, c.want)
		}
	}
	if got := table.Lookup(nil); got != "" || table.Len() != 6 {
		t.Errorf("%q, %d prefixes", got, table.Len())
	}
}

func TestListsThatAreNone(t *testing.T) {
	for name, text := range map[string]string{"bits": "MA-L,00163,x,x\n", "hex": "MA-L,00163Z,x,x\n", "columns": "MA-L,00163E\n", "quotes": "MA-L,\"00163E,x\n"} {
		if _, err := oui.Load(lists(text, "", "")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := oui.Load(fstest.MapFS{}); err == nil {
		t.Error("no lists: no error")
	}
}

func TestEmbedded(t *testing.T) {
	if n := oui.Default().Len(); n < 40_000 {
		t.Errorf("%d prefixes", n)
	}
	if allocs := testing.AllocsPerRun(100, func() { oui.Lookup([]byte{0xb8, 0x27, 0xeb, 1, 2, 3}) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("MA-L,00163E,Xensource,x\nMA-L,0055DA1,Medium,x\nMA-S,0055DA123,Small,x\n", []byte{0, 0x55, 0xda, 0x12, 0x3f, 0})
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, text string, mac []byte) {
		table, err := oui.Load(fstest.MapFS{"oui.csv": {Data: []byte(text)}})
		if err == nil {
			table.Lookup(mac)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	mac := []byte{0xb8, 0x27, 0xeb, 1, 2, 3}
	b.ReportAllocs()
	for b.Loop() {
		oui.Lookup(mac)
	}
}
