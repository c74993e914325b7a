package dhcpsrv_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

// fullSnapshot uses every field and level.
func fullSnapshot() dhcpsrv.Snapshot {
	s := office()
	o := &s.Subnets[0]
	o.NTP = []netip.Addr{ip("192.0.2.3")}
	o.Search = []string{"office.test", "test."}
	o.MTU = 9000
	o.Routes = []dhcpsrv.Route{{Dest: netip.MustParsePrefix("10.0.0.0/8"), Via: ip("192.0.2.9")}}
	o.LeaseTime, o.BootLeaseTime = time.Hour, 30*time.Second
	s.Options = dhcpsrv.Options{dhcpsrv.TextOption(66, "site"), dhcpsrv.TextOption(100, "UTC"), dhcpsrv.TextOption(101, "site")}
	o.Options = dhcpsrv.Options{dhcpsrv.TextOption(101, "subnet"), dhcpsrv.TextOption(102, "subnet"), dhcpsrv.TextOption(15, "override.test")}
	o.Pools[0].Options = dhcpsrv.Options{dhcpsrv.TextOption(102, "pool"), dhcpsrv.TextOption(103, "pool")}
	s.Reservations = []dhcpsrv.Reservation{{MAC: mac1, Hostname: "host", Options: dhcpsrv.Options{dhcpsrv.TextOption(103, "host")}}}
	return s
}

func TestOptions(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, fullSnapshot())
	c := newClient(t, s, mac1, clientID(1, 2, 3), dhcpv4.WithRequestedOptions(dhcpv4.OptionHostName))
	m, r := c.send(dhcpv4.MessageTypeDiscover)
	want := map[uint8]string{
		1: "ffffff00", 3: "c00002fe", 6: "c0000201", 12: hex.EncodeToString([]byte("host")), 15: hex.EncodeToString([]byte("override.test")),
		26: "2328", 28: "c00002ff", 42: "c0000203", 51: "00000e10", 53: "02", 54: "c0000201", 58: "00000708", 59: "00000c4e", 61: "010203",
		66: hex.EncodeToString([]byte("site")), 100: hex.EncodeToString([]byte("UTC")), 101: hex.EncodeToString([]byte("subnet")),
		102: hex.EncodeToString([]byte("pool")), 103: hex.EncodeToString([]byte("host")),
		119: "066f6666696365047465737400" + "047465737400", 121: "080a" + "c0000209" + "00" + "c00002fe",
	}
	got := map[uint8]string{}
	for code, v := range m.Options {
		got[code] = hex.EncodeToString(v)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got)\n%s", diff)
	}
	if r.Data[240] != 53 {
		t.Errorf("the first option is %d; clients look for 53 there", r.Data[240])
	}
}

func TestLeaseTimes(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, fullSnapshot())
	for _, tt := range []struct {
		name string
		mods []dhcpv4.Modifier
		want time.Duration
	}{
		{"default", nil, time.Hour},
		{"firmware", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007"))}, 30 * time.Second},
		{"shorter", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(10 * time.Minute))}, 10 * time.Minute},
		{"too short", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(time.Second))}, time.Minute},
		{"longer", []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(48 * time.Hour))}, time.Hour},
	} {
		m, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover, tt.mods...)
		if got := m.IPAddressLeaseTime(0); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestTightPacket: with the size every client accepts, what was asked for comes first, and the reply stays within it.
func TestTightPacket(t *testing.T) {
	snap := office()
	for code := uint8(200); code < 210; code++ {
		snap.Options = append(snap.Options, dhcpsrv.TextOption(code, strings.Repeat("x", 100)))
	}
	s := newServer(t, dhcpsrv.Config{}, snap)
	asked := dhcpv4.WithRequestedOptions(dhcpv4.GenericOptionCode(209), dhcpv4.GenericOptionCode(208), dhcpv4.OptionDomainName)
	for _, tt := range []struct {
		size     uint16 // option 57; 0 = not sent
		limit, n int    // bytes, options of the ten that fit
	}{{0, 548, 3}, {300, 548, 3}, {1500, 1472, 10}, {65280, 1472, 10}, {800, 772, 5}} {
		mods := []dhcpv4.Modifier{asked}
		if tt.size > 0 {
			mods = append(mods, dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(tt.size)))
		}
		c := newClient(t, s, mac1)
		p := dhcpsrv.Packet{Data: c.packet(dhcpv4.MessageTypeDiscover, mods...).ToBytes(), Link: "eth0"}
		r, ok := s.Handle(context.Background(), p)
		if !ok || len(r.Data) > tt.limit {
			t.Fatalf("size %d: reply %v of %d bytes", tt.size, ok, len(r.Data))
		}
		x := s.Explain(context.Background(), p)
		n, have := 0, map[uint8]bool{}
		for _, o := range x.Options {
			have[o.Code] = true
			if o.Code >= 200 && o.Code < 210 && len(o.Data) == 100 {
				n++
			}
		}
		if n != tt.n || !have[209] || !have[208] || !have[15] {
			t.Errorf("size %d: %d large options, want %d; have %v", tt.size, n, tt.n, have)
		}
	}
}

func TestLongOption(t *testing.T) {
	snap := office()
	long := bytes.Repeat([]byte("0123456789"), 60)
	snap.Options = dhcpsrv.Options{{Code: 224, Data: long}}
	s := newServer(t, dhcpsrv.Config{}, snap)
	m, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover, dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1500)))
	if got := m.Options.Get(dhcpv4.GenericOptionCode(224)); !bytes.Equal(got, long) {
		t.Errorf("option of 600 bytes came as %d", len(got))
	}
}

func TestBootAnswer(t *testing.T) {
	var asked dhcpsrv.BootQuery
	answer := dhcpsrv.BootAnswer{
		File: "http://192.0.2.1:5248/boot", VendorClass: "HTTPClient", NextServer: ip("192.0.2.7"),
		Options: dhcpsrv.Options{{Code: 175, Data: []byte{176, 1, 1}, Always: true}},
	}
	s := newServer(t, dhcpsrv.Config{Boot: dhcpsrv.BootSelectorFunc(func(_ context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
		asked = q
		return answer, q.VendorClass != ""
	})}, office())
	uuid := append([]byte{0}, bytes.Repeat([]byte{7}, 16)...)
	firmware := []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("HTTPClient:Arch:00016:UNDI:003000")),
		dhcpv4.WithGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 16, 0, 7}),
		dhcpv4.WithGeneric(dhcpv4.OptionClientMachineIdentifier, uuid), dhcpv4.WithGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE")),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionBootfileName, dhcpv4.OptionTFTPServerName),
	}
	m, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover, firmware...)
	if got := fmt.Sprint(m.BootFileNameOption(), m.BootFileName, m.ServerIPAddr, m.ClassIdentifier(), m.TFTPServerName()); got != "http://192.0.2.1:5248/boothttp://192.0.2.1:5248/boot192.0.2.7HTTPClient192.0.2.7" {
		t.Errorf("boot data %s", got)
	}
	if !bytes.Equal(m.Options.Get(dhcpv4.OptionClientMachineIdentifier), uuid) || !bytes.Equal(m.Options.Get(dhcpv4.GenericOptionCode(175)), []byte{176, 1, 1}) {
		t.Errorf("options %v", m.Options)
	}
	query := fmt.Sprintf("%v %s %x %s %v", asked.Arch, strings.Join(asked.UserClasses, ","), asked.ClientUUID, asked.Subnet, asked.Server)
	if query != "[16 7] iPXE 07070707070707070707070707070707 office 192.0.2.1" || asked.Client.String() != m.YourIPAddr.String() {
		t.Errorf("query %+v", asked)
	}
	answer.File = "http://192.0.2.1/" + strings.Repeat("long/", 30)
	m, _ = newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover, dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient")))
	if m.BootFileNameOption() != answer.File || m.BootFileName != "" {
		t.Errorf("long name: option %q, field %q", m.BootFileNameOption(), m.BootFileName)
	}
	if m, _ = newClient(t, s, mac2).send(dhcpv4.MessageTypeDiscover); m.BootFileName != "" || m.Options.Has(dhcpv4.OptionBootfileName) {
		t.Error("boot data for a client that gets none")
	}
}
