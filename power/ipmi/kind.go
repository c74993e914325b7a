package ipmi

import (
	"context"
	"net"
	"strconv"

	"github.com/gomaas/maas/power"
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

	driverLAN     = "LAN"
	driverLANPlus = "LAN_2_0"

	bootAuto   = "auto"
	bootEFI    = "efi"
	bootLegacy = "legacy"
)

// Kind declares the power type "ipmi".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "IPMI",
		Params: []power.Param{
			{Name: paramAddress, Label: "BMC address, with a port if it is not 623", Required: true},
			{Name: paramUser, Label: "User"},
			{Name: paramPass, Label: "Password", Secret: true},
			{Name: paramDriver, Label: "Protocol", Default: driverLANPlus, Choices: []string{driverLAN, driverLANPlus}},
			{Name: paramBootType, Label: "Firmware that boots", Default: bootAuto, Choices: []string{bootAuto, bootLegacy, bootEFI}},
			{Name: paramCipher, Label: "Cipher suite; 17, then 3, when empty", Choices: []string{"3", "8", "12", "17"}},
		},
		Open: open,
	}
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	host, port, err := hostPort(p[paramAddress])
	if err != nil {
		return nil, err
	}
	if p[paramDriver] == driverLAN {
		return openLAN(ctx, host, port, p)
	}
	return openLANPlus(ctx, host, port, p)
}

// defaultPort is that of RMCP.
const defaultPort = 623

func hostPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil { // no port
		return address, defaultPort, nil
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, power.Errorf(power.Settings, "settings", "%s: %q has no usable port", paramAddress, address)
	}
	return host, port, nil
}
