package discovery_test

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/gomaas/maas/discovery"
)

// tlv encodes one element of LLDP.
func tlv(kind int, value string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(kind<<9|len(value)))) + value
}

// lldp builds the frame of a switch.
func lldp(t testing.TB, elements ...string) discovery.Frame {
	t.Helper()
	from := mac(1)
	b := append([]byte{1, 0x80, 0xc2, 0, 0, 0x0e}, from[:]...)
	return parsed(t, append(append(b, 0x88, 0xcc), strings.Join(elements, "")...))
}

func TestDecodeLLDP(t *testing.T) {
	const chassis, port, ttl, end = "\x04\x02\x00\x00\x00\x00\x09", "\x05ge-0/0/1", "\x00\x78", "\x00\x00"
	must := []string{tlv(1, chassis), tlv(2, port), tlv(3, ttl)}
	with := func(elements ...string) []string {
		return append(append([]string{}, must...), append(elements, end)...)
	}
	for _, c := range []struct {
		name     string
		elements []string
		want     string
	}{
		{"what is required", with(), `{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","ttl":120000000000}`},
		{"texts", with(tlv(4, "uplink"), tlv(5, "sw-1"), tlv(6, "a switch")),
			`{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","port_description":"uplink","system_name":"sw-1","system_description":"a switch","ttl":120000000000}`},
		{"management address", with(tlv(8, "\x05\x01\xc0\x00\x02\x01\x02\x00\x00\x00\x01\x00")),
			`{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","management":"192.0.2.1","ttl":120000000000}`},
		{"the first management address counts", with(tlv(8, "\x05\x01\xc0\x00\x02\x01"), tlv(8, "\x05\x01\xc0\x00\x02\x02")),
			`{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","management":"192.0.2.1","ttl":120000000000}`},
		{"VLAN of untagged frames", with(tlv(127, "\x00\x80\xc2\x01\x00\x2a")),
			`{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","vid":42,"ttl":120000000000}`},
		{"elements of others", with(tlv(127, "\x00\x12\x0f\x01\x00\x2a"), tlv(99, "x"), tlv(7, "\x00\x14\x00\x04")),
			`{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","ttl":120000000000}`},
		{"port by its MAC", []string{must[0], tlv(2, "\x03\x02\x00\x00\x00\x00\x0a"), must[2], end},
			`{"chassis":"02:00:00:00:00:09","port":"02:00:00:00:00:0a","ttl":120000000000}`},
		{"good-bye", []string{must[0], must[1], tlv(3, "\x00\x00"), end}, `{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","ttl":0}`},
		{"control characters are dropped", with(tlv(5, "sw\x00\x1b[1m")), `{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","system_name":"sw[1m","ttl":120000000000}`},
		{"management address cut", with(tlv(8, "\x05\x01\xc0")), `{"chassis":"02:00:00:00:00:09","port":"ge-0/0/1","ttl":120000000000}`},
		{"no end", must, ""},
		{"no time to live", []string{must[0], must[1], end}, ""},
		{"another order", []string{must[1], must[0], must[2], end}, ""},
		{"element cut", append(append([]string{}, must...), "\x0a\x09x"), ""},
		{"empty chassis", []string{tlv(1, "\x04"), must[1], must[2], end}, ""},
		{"empty time to live", []string{must[0], must[1], tlv(3, "\x00"), end}, ""},
		{"nothing", nil, ""},
	} {
		o, err := discovery.DecodeLLDP(lldp(t, c.elements...))
		got := ""
		if err == nil {
			b, _ := json.Marshal(o.Info.Switch)
			got = string(b)
			if o.MAC != mac(1) || o.Addr.IsValid() || o.Gone != (o.Info.Switch.TTL == 0) {
				t.Errorf("%s: %+v", c.name, o)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

// The port of a switch is reported once, and again when the cable is plugged elsewhere.
func TestAnotherPortIsAChange(t *testing.T) {
	table := discovery.NewTable(discovery.TableConfig{})
	var told []string
	for _, port := range []string{"1", "1", "2"} {
		o, err := discovery.DecodeLLDP(lldp(t, tlv(1, "\x07sw-1"), tlv(2, "\x07"+port), tlv(3, "\x00\x78"), tlv(5, "sw-1.example"), tlv(0, "")))
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := table.See("eth0", o, start); ok {
			told = append(told, string(e.Kind)+" "+e.Device.Switch.Port+" "+e.Device.Hostname())
		}
	}
	if got := strings.Join(told, ", "); got != "new 1 sw-1, changed 2 sw-1" {
		t.Error(got)
	}
}
