package ipmi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi/internal/rmcp"
)

func TestParseKey(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "secret": "secret", "0x": "", "0x7365": "se", strings.Repeat("k", 20): strings.Repeat("k", 20),
		"0x" + strings.Repeat("6b", 20): strings.Repeat("k", 20),
	} {
		if got, err := parseKey(in); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{strings.Repeat("k", 21), "0x7", "0xzz", "0x" + strings.Repeat("6b", 21)} {
		if _, err := parseKey(in); power.ClassOf(err) != power.Settings || strings.Contains(err.Error(), in) {
			t.Errorf("%q: %v; the key must be refused and not shown", in, err)
		}
	}
}

// Settings that no BMC can satisfy are refused before a packet is sent.
func TestSettingsAreRefused(t *testing.T) {
	kind := Kind()
	for name, p := range map[string]power.Params{
		"a URL":                   {paramAddress: "https://192.0.2.9"},
		"a path":                  {paramAddress: "192.0.2.9/x"},
		"a port of nobody":        {paramAddress: "192.0.2.9:0"},
		"neither address nor MAC": {},
		"a long user":             {paramAddress: "127.0.0.1", paramUser: strings.Repeat("u", 17)},
		"a long password":         {paramAddress: "127.0.0.1", paramPass: strings.Repeat("p", 21)},
		"a long key":              {paramAddress: "127.0.0.1", paramKey: strings.Repeat("k", 21)},
		"IPMI 1.5 over IPv6":      {paramAddress: "::1", paramDriver: driverLAN},
		"IPMI 1.5, long user":     {paramAddress: "127.0.0.1", paramDriver: driverLAN, paramUser: strings.Repeat("u", 17)},
		"IPMI 1.5, long password": {paramAddress: "127.0.0.1", paramDriver: driverLAN, paramPass: strings.Repeat("p", 17)},
	} {
		full, err := kind.Check(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kind.Open(t.Context(), full); power.ClassOf(err) != power.Settings {
			t.Errorf("%s: %v of class %q", name, err, power.ClassOf(err))
		}
	}
}

// The class decides whether a request is tried again, so a refused password must never look like a lost packet.
func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		op   string
		err  error
		want power.Class
	}{
		{opOpen, nil, ""},
		{opOpen, rmcp.ErrPassword, power.Auth}, {opOpen, rmcp.ErrKey, power.Auth}, {opOpen, rmcp.ErrSilent, power.Connection}, {opOpen, rmcp.ErrConfig, power.Settings},
		{opOpen, rmcp.Status(0x01), power.Connection}, // no session left: another client's may end
		{opOpen, rmcp.Status(0x0b), power.Connection},
		{opOpen, rmcp.Status(0x11), power.Unsupported}, {opOpen, rmcp.Status(0x04), power.Unsupported},
		{opOpen, rmcp.Status(0x0d), power.Auth}, {opOpen, rmcp.Status(0x0a), power.Auth},
		{opOpen, rmcp.Completion(0xcc), power.Auth},
		{"power up", rmcp.Completion(0xd4), power.Auth},
		{"power up", rmcp.Completion(0x80), power.Unsupported}, {"power up", rmcp.Completion(0xc1), power.Unsupported},
		{"power up", rmcp.Completion(0xd5), power.ActionFailed}, {"power up", rmcp.Completion(0xff), power.ActionFailed},
		{"power up", context.DeadlineExceeded, power.Connection}, {"power up", errors.New("network is unreachable"), power.Connection},
	} {
		err := classify(tt.op, tt.err)
		if power.ClassOf(err) != tt.want || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s, %v: %v of class %q, want %q", tt.op, tt.err, err, power.ClassOf(err), tt.want)
		}
	}
}

// scripted answers commands from a table and keeps what was sent.
type scripted struct {
	answers map[byte][]byte // by command
	errs    map[byte]error
	sent    []string
	closed  bool
}

func (s *scripted) Command(_ context.Context, netFn, command byte, data []byte) ([]byte, error) {
	s.sent = append(s.sent, fmt.Sprintf("%02x %02x % x", netFn, command, data))
	return s.answers[command], s.errs[command]
}

func (s *scripted) Close(context.Context) error { s.closed = true; return nil }

func TestPowerStates(t *testing.T) {
	for _, tt := range []struct {
		answer []byte
		want   power.State
		class  power.Class
	}{
		{[]byte{0x01, 0, 0}, power.On, ""}, {[]byte{0x60, 0, 0}, power.Off, ""}, {[]byte{0x21}, power.On, ""}, {nil, power.Unknown, power.ActionFailed},
	} {
		d := &lanPlus{session: &scripted{answers: map[byte][]byte{cmdStatus: tt.answer}}}
		if got, err := d.PowerState(t.Context()); got != tt.want || power.ClassOf(err) != tt.class {
			t.Errorf("% x: %s, %v", tt.answer, got, err)
		}
	}
}

func TestChassisCommands(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(*lanPlus) error
		want []string
	}{
		"on":        {func(d *lanPlus) error { return d.SetPower(t.Context(), power.On) }, []string{"00 02 01"}},
		"off":       {func(d *lanPlus) error { return d.SetPower(t.Context(), power.Off) }, []string{"00 02 00"}},
		"cycle":     {func(d *lanPlus) error { return d.Cycle(t.Context()) }, []string{"00 02 02"}},
		"reset":     {func(d *lanPlus) error { return d.Reset(t.Context()) }, []string{"00 02 03"}},
		"soft":      {func(d *lanPlus) error { return d.SoftOff(t.Context()) }, []string{"00 02 05"}},
		"light on":  {func(d *lanPlus) error { return d.Identify(t.Context(), true) }, []string{"00 04 00 01"}},
		"light off": {func(d *lanPlus) error { return d.Identify(t.Context(), false) }, []string{"00 04 00"}},
		"boot once": {func(d *lanPlus) error { return d.SetBootOnce(t.Context(), power.Network) },
			[]string{"00 08 00 01", "00 08 04 01 01", "00 08 05 80 04 00 00 00", "00 08 00 00"}},
		"boot always": {func(d *lanPlus) error { return d.SetBootAlways(t.Context(), power.Disk) },
			[]string{"00 08 00 01", "00 08 04 01 01", "00 08 05 c0 08 00 00 00", "00 08 00 00"}},
		"EFI": {func(d *lanPlus) error { d.efi = true; return d.SetBootOnce(t.Context(), power.Setup) },
			[]string{"00 08 00 01", "00 08 04 01 01", "00 08 05 a0 18 00 00 00", "00 08 00 00"}},
	} {
		s := &scripted{errs: map[byte]error{}}
		if err := tt.do(&lanPlus{session: s}); err != nil || !slices.Equal(s.sent, tt.want) {
			t.Errorf("%s: sent %q, %v; want %q", name, s.sent, err, tt.want)
		}
	}
	s := &scripted{}
	if err := (&lanPlus{session: s}).SetBootOnce(t.Context(), power.NetworkHTTP); power.ClassOf(err) != power.Unsupported || s.sent != nil {
		t.Errorf("HTTP boot: %v after %q", err, s.sent)
	}
}

func TestBootDeviceIsReadBack(t *testing.T) {
	for _, tt := range []struct {
		answer []byte
		err    error
		want   power.BootDevice
		class  power.Class
	}{
		{[]byte{1, 5, 0x80, 0x04, 0}, nil, power.Network, ""},
		{[]byte{1, 5, 0x00, 0x08, 0}, nil, power.Disk, ""}, // without the valid bit, as some keep it
		{[]byte{1, 5, 0x80, 0x18, 0}, nil, power.Setup, ""}, {[]byte{1, 5, 0x00, 0x00, 0}, nil, power.Default, ""},
		{[]byte{1, 5, 0x80, 0x14, 0}, nil, power.CD, ""}, {[]byte{1, 5, 0x80, 0x1c, 0}, nil, "IPMI device 7", ""},
		{[]byte{1, 5}, nil, "", power.Unsupported},
		{nil, rmcp.Completion(0xcc), "", power.Unsupported}, {nil, rmcp.ErrSilent, "", power.Connection},
	} {
		d := &lanPlus{session: &scripted{answers: map[byte][]byte{cmdGetBoot: tt.answer}, errs: map[byte]error{cmdGetBoot: tt.err}}}
		if got, err := d.BootOnce(t.Context()); got != tt.want || power.ClassOf(err) != tt.class {
			t.Errorf("% x, %v: %q, %v of class %q", tt.answer, tt.err, got, err, power.ClassOf(err))
		}
	}
}
