package dnssrv_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dnssrv"
)

// export is a zone as a file, without the serial.
func export(t testing.TB, s *dnssrv.Server, zone string) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteZone(&b, zone); err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(b.String(), "\n")
	words := strings.Fields(first)
	words[6] = "SERIAL"
	return strings.Join(words, " ") + "\n" + rest
}

func TestExportedZonesComeBackTheSame(t *testing.T) {
	s := example(t)
	want := export(t, s, "maas")
	change, err := dnssrv.ParseZone(strings.NewReader(want[strings.Index(want, "\n"):]+"maas. 60 IN SOA ns1.maas. first\\.last.example.com. 1 2 3 4 60\n"), "maas")
	if err != nil {
		t.Fatal(err)
	}
	again := dnssrv.New(dnssrv.Config{})
	update(t, again, change)
	if diff := cmp.Diff(want, export(t, again, "maas")); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

func TestExportShowsDelegationsAndRanges(t *testing.T) {
	s := dnssrv.New(dnssrv.Config{})
	update(t, s, dnssrv.Change{
		Zones: []dnssrv.Zone{
			{Name: "maas", Ranges: []dnssrv.Range{{From: netip.MustParseAddr("10.0.0.1"), To: netip.MustParseAddr("10.0.0.2")}}}, {Name: "sub.maas"}, {Name: "deep.sub.maas"},
		},
		Set: []dnssrv.RRset{set("ns.sub.maas", "A", "192.0.2.1")},
	})
	got := export(t, s, "maas")
	for _, want := range []string{
		"10-0-0-2.maas.\t30\tIN\tA\t10.0.0.2\n", "sub.maas.\t30\tIN\tNS\tns.sub.maas.\n", "ns.sub.maas.\t30\tIN\tA\t192.0.2.1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "deep") {
		t.Errorf("shows what is in another zone:\n%s", got)
	}
}

func TestBadZoneFilesNameTheirFault(t *testing.T) {
	for text, want := range map[string]string{
		"a.maas. IN A 192.0.2.1\nb.maas. IN A 192.0.2": "line: 2",
		"a.example. IN A 192.0.2.1":                    "a.example.",
		"$INCLUDE /etc/passwd":                         "$INCLUDE",
		"$GENERATE 1-99999999 h$.maas. IN A 192.0.2.$": "GENERATE",
	} {
		if _, err := dnssrv.ParseZone(strings.NewReader(text), "maas"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever zone file is taken can be served and exported, and the export can be read.
func FuzzParseZone(f *testing.F) {
	s := example(f)
	f.Add(export(f, s, "maas"))
	for _, text := range []string{
		"@ 3600 IN SOA ns h\\.x 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1", "$TTL 5\n$ORIGIN x.maas.\n* TXT \"a\\\"b\" c", "a CNAME b\na A 192.0.2.1",
		"$GENERATE 1-20 h$ A 192.0.2.$", "a HTTPS 1 . alpn=h2", "a TYPE999 \\# 2 abcd", "a LOC 1 N 1 E 0", "; nothing",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		change, err := dnssrv.ParseZone(strings.NewReader(text), "maas")
		if err != nil || len(change.Set) > 1000 {
			return
		}
		s := dnssrv.New(dnssrv.Config{})
		if s.Update(change) != nil {
			return
		}
		for _, set := range change.Set {
			ask(t, s, set.Name, set.Type)
		}
		out := export(t, s, "maas")
		if _, err := dnssrv.ParseZone(strings.NewReader(out[strings.Index(out, "\n"):]), "maas"); err != nil {
			t.Errorf("cannot be read again: %v\n%s", err, out)
		}
	})
}
