package pxedhcp

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// Config holds the settings of a Selector. Its zero value is useful.
type Config struct {
	// Methods is the table of boot methods, matched in order; nil means firmware.Methods(), and
	// beside another DHCP server iPXE for UEFI before them: the signed GRUB 2.06 takes its server
	// from the answer of the other server and asks it for its configuration, for ever.
	Methods []firmware.Method
	// Quirks are the oddities of firmware that are allowed for; nil means firmware.Quirks().
	Quirks []firmware.Quirk
	// HTTPPort is the port of the boot server's HTTP side; 0 means 5248.
	HTTPPort int
	// Server is the boot server's address; the zero value means the DHCP server's own address
	// towards the client.
	Server netip.Addr
	// Servers lists the boot servers that a client can reach, in the order to try them. It is sent
	// over IPv4 to those who ask for option 150, such as U-Boot and ONIE. Nil sends none.
	Servers func(dhcpsrv.BootQuery) []netip.Addr
	// Skip, when set, leaves clients without boot data: machines that must not boot from the
	// network.
	Skip func(firmware.Client) bool
	// Loader returns what is known of the loader for a client: its profile's, see firmware.Prefer,
	// and what its firmware trusts. It must not block. Nil leaves all to the methods.
	Loader func(dhcpsrv.BootQuery) pxe.LoaderChoice
	// Pick returns the path of the loader that a client is handed in place of the method's, such as
	// Trials.Next of package loaders. It is asked for each answer whose method has a loader, on the
	// path of the packet: it must not block. Nil hands out the method's.
	Pick func(firmware.Client, firmware.Offer, pxe.LoaderChoice) string
	// Seen receives every client that is offered a file, on the path of the packet: it must not
	// block. Clients.Remember of package pxe takes the client.
	Seen func(firmware.Client, firmware.Offer)
}

// Selector implements dhcpsrv.BootSelector.
type Selector struct {
	cfg    Config
	own    tables
	beside tables // for clients of another DHCP server
}

// tables has the methods by the loader that is asked for; "" is none.
type tables map[firmware.Language][]firmware.Method

func newTables(methods []firmware.Method) tables {
	t := tables{"": methods}
	for _, loader := range []firmware.Language{firmware.IPXE, firmware.GRUB, firmware.UKI} {
		t[loader] = firmware.Prefer(methods, loader)
	}
	return t
}

// New makes a selector.
func New(cfg Config) *Selector {
	if cfg.Methods != nil {
		own := newTables(cfg.Methods)
		return &Selector{cfg, own, own}
	}
	own := newTables(firmware.Methods())
	return &Selector{cfg, own, newTables(own[firmware.IPXE])}
}

var _ dhcpsrv.BootSelector = (*Selector)(nil)

// DHCP option codes that the answer may hold.
const (
	optVendorInfo = 43  // PXE 2.1 section 2.1.2
	optDefaultURL = 114 // RFC 3679 lists it; ONIE's installer
	optServers    = 150 // RFC 5859: TFTP servers
	optPathPrefix = 210 // RFC 5071
	optIPXE       = 175 // encapsulated options of iPXE
	ipxeNoProxy   = 176 // inside optIPXE: do not wait for proxyDHCP
)

// raspberryPiBoot is option 43 for the firmware of a Raspberry Pi, which boots from no server that
// does not send this text in a boot menu. A pad (0) follows each text, since firmware takes texts
// for strings that end with a zero, while a zero that the length counts would belong to the text.
var raspberryPiBoot = slices.Concat(
	[]byte{6, 1, 3},                            // PXE_DISCOVERY_CONTROL: no broadcast, no multicast
	[]byte{10, 4, 0}, []byte("PXE"), []byte{0}, // PXE_MENU_PROMPT: no waiting, and its text
	[]byte{9, 20, 0, 0, 17}, []byte("Raspberry Pi Boot"), []byte{0}, // PXE_BOOT_MENU: one entry of type 0
	[]byte{255},
)

// SelectBoot answers what the client of q shall load, or false when it does not boot from the
// network.
func (s *Selector) SelectBoot(_ context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
	c := ClientOf(q)
	o, ok := s.choose(c, q)
	if !ok {
		return dhcpsrv.BootAnswer{}, false
	}
	if s.cfg.Seen != nil {
		s.cfg.Seen(c, o)
	}
	a := dhcpsrv.BootAnswer{File: o.File, NextServer: o.NextServer, VendorClass: o.VendorClass}
	if o.NoProxyWait {
		a.Options = append(a.Options, dhcpsrv.Option{Code: optIPXE, Data: []byte{ipxeNoProxy, 1, 1}})
	}
	if o.DefaultURL != "" {
		a.Options = append(a.Options, dhcpsrv.TextOption(optDefaultURL, o.DefaultURL))
	}
	if o.PathPrefix != "" {
		prefix := dhcpsrv.TextOption(optPathPrefix, o.PathPrefix)
		prefix.Always = true // loaders use it without asking for it
		a.Options = append(a.Options, prefix)
	}
	if c.IsRaspberryPi() {
		// It goes before the option 43 of a proxy offer and of the subnet.
		a.Options = append(a.Options, dhcpsrv.Option{Code: optVendorInfo, Data: raspberryPiBoot, Always: true})
	}
	if list := s.servers(q); len(list) > 0 {
		a.Options = append(a.Options, dhcpsrv.Option{Code: optServers, Data: list})
	}
	return a, true
}

// servers is the value of option 150.
func (s *Selector) servers(q dhcpsrv.BootQuery) (list []byte) {
	if s.cfg.Servers == nil {
		return nil
	}
	for _, a := range s.cfg.Servers(q) {
		if a = a.Unmap(); a.Is4() && len(list) < 4*16 {
			list = append(list, a.AsSlice()...)
		}
	}
	return list
}

// Select is SelectBoot in the terms of package pxe, with the method chosen.
func (s *Selector) Select(q dhcpsrv.BootQuery) (firmware.Offer, bool) {
	return s.choose(ClientOf(q), q)
}

func (s *Selector) choose(c firmware.Client, q dhcpsrv.BootQuery) (firmware.Offer, bool) {
	if s.cfg.Skip != nil && s.cfg.Skip(c) {
		return firmware.Offer{}, false
	}
	server, all := q.Server, s.own
	if s.cfg.Server.IsValid() {
		server = s.cfg.Server
	}
	if q.Proxy {
		all = s.beside
	}
	var choice pxe.LoaderChoice
	if s.cfg.Loader != nil {
		choice = s.cfg.Loader(q)
	}
	methods, ok := all[choice.Loader]
	if !ok {
		methods = all[""]
	}
	o, ok := firmware.Select(methods, c, firmware.Endpoint{Addr: server, HTTPPort: s.cfg.HTTPPort})
	if ok && s.cfg.Pick != nil && o.Method.Loader != "" {
		o.File = strings.TrimSuffix(o.File, o.Method.Loader) + s.cfg.Pick(c, o, choice)
	}
	if ok && s.cfg.Quirks != nil {
		o.NoProxyWait = slices.ContainsFunc(s.cfg.Quirks, func(q firmware.Quirk) bool { return q.Applies(firmware.NoProxyWait, o.Method.Name) })
	}
	return o, ok
}

// ubootNDI is the network interface that U-Boot reports: a UNDI of version 0.0, which no firmware
// with a UNDI has.
var ubootNDI = []byte{1, 0, 0}

// ClientOf translates a DHCP packet's description of its client.
func ClientOf(q dhcpsrv.BootQuery) firmware.Client {
	c := firmware.Client{MAC: slices.Clone(q.MAC), UUID: formatUUID(q.ClientUUID),
		VendorClass: q.VendorClass, UserClasses: slices.Clone(q.UserClasses), IPXE: q.HasIPXE,
		UBoot: strings.HasPrefix(q.VendorClass, "U-Boot") || bytes.Equal(q.NDI, ubootNDI)}
	for _, a := range q.Arch {
		c.Arch = append(c.Arch, firmware.Arch(a))
	}
	return c
}

// formatUUID writes option 97 as dmidecode shows it: the first three fields are little-endian on
// the wire, as in EFI (RFC 4578 section 2.3 leaves it open; EDK II and iPXE agree).
func formatUUID(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x",
		b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:])
}
