package ipmi

import (
	"context"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
)

// Name is the power type's name.
const Name = "ipmi"

// The parameters, by the names that MAAS users know.
const (
	paramAddress  = "power_address"
	paramUser     = "power_user"
	paramPass     = "power_pass"
	paramDriver   = "power_driver"
	paramBootType = "power_boot_type"
	paramCipher   = "cipher_suite_id"
	paramLevel    = "privilege_level"
	paramOffMode  = "power_off_mode"
	paramMAC      = "mac_address"
	paramFlags    = "workaround_flags"
	paramKey      = "k_g"

	driverLAN     = "LAN"
	driverLANPlus = "LAN_2_0"

	bootAuto   = "auto"
	bootEFI    = "efi"
	bootLegacy = "legacy"

	offSoft = "soft"
	offHard = "hard"
)

// Kind declares the power type "ipmi".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, BootOrder: true, Title: "IPMI",
		Params: []power.Param{
			{Name: paramAddress, Label: "BMC address, with a port if it is not 623; may be left out if the MAC address is given"},
			{Name: paramUser, Label: "User"},
			{Name: paramPass, Label: "Password", Secret: true},
			{Name: paramDriver, Label: "Protocol", Default: driverLANPlus, Choices: []string{driverLAN, driverLANPlus}},
			{Name: paramBootType, Label: "Firmware that boots", Default: bootAuto, Choices: []string{bootAuto, bootLegacy, bootEFI}},
			{Name: paramCipher, Label: "Cipher suite; 17, then 3, when empty", Choices: []string{"3", "8", "17"}},
			{Name: paramKey, Label: "BMC key (K_g), up to 20 characters or 0x and hexadecimal digits", Secret: true},
			{Name: paramLevel, Label: "Privilege level of the session", Default: "OPERATOR", Choices: []string{"USER", "OPERATOR", "ADMIN"}},
			{Name: paramOffMode, Label: "How to switch off", Default: offHard, Choices: []string{offSoft, offHard}},
			{Name: paramMAC, Label: "MAC address of the BMC, to find it by when it has no fixed address", Scope: power.ScopeNode},
			{Name: paramFlags, Label: "Workarounds; accepted for compatibility with MAAS, none is needed here"},
		},
		Open: open,
		// A BMC without a fixed address is the same one wherever its MAC address is found.
		Identity: func(p power.Params) string {
			if p[paramAddress] == "" {
				return p[paramMAC]
			}
			return address.Identity(p[paramAddress], defaultPort)
		},
	}
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	text := p[paramAddress]
	if text == "" {
		found, err := neighbour(p[paramMAC])
		if err != nil {
			return nil, err
		}
		text = found
	}
	at, err := address.ParseHost(paramAddress, text)
	if err != nil {
		return nil, err
	}
	if p[paramDriver] == driverLAN {
		return openLAN(ctx, at, p)
	}
	return openLANPlus(ctx, at, p)
}

// defaultPort is the port of RMCP (asf-rmcp).
const defaultPort = "623"
