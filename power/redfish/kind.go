package redfish

import (
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// Name is the power type's name.
const Name = "redfish"

const (
	paramAddress = "power_address"
	paramUser    = "power_user"
	paramPass    = "power_pass"
	paramNode    = "node_id"
	paramMode    = "boot_mode"
	paramDPU     = "dpu"
)

// Kind declares the power type "redfish".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, BootOrder: true, Media: true, Title: "Redfish",
		Params: append([]power.Param{
			{Name: paramAddress, Label: "BMC address or URL", Required: true},
			{Name: paramUser, Label: "User", Required: true},
			{Name: paramPass, Label: "Password", Required: true, Secret: true},
			{Name: paramNode, Label: "System, when the BMC has several", Scope: power.ScopeNode},
			{Name: paramMode, Label: "Boot mode to name with a boot device, for BMCs that want one", Default: "auto", Choices: []string{"auto", "uefi", "legacy"}},
			{Name: paramDPU, Label: "The system is a DPU: it is never switched off, and switching on resets it", Default: "no", Choices: []string{"yes", "no"}, Scope: power.ScopeNode},
		}, bmchttp.Params()...),
		Open:     open,
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], "443") },
	}
}

// endpoint returns the URL of the service without the path that all services have, which may be
// written or left out. What precedes it is kept: a proxy may lead to many BMCs.
func endpoint(text string) (string, error) {
	a, err := address.ParseHTTP(paramAddress, text)
	if err != nil {
		return "", err
	}
	prefix, rest, found := strings.Cut(a.Path+"/", "/redfish/")
	if rest = strings.Trim(rest, "/"); found && rest != "" && rest != "v1" {
		return "", power.Errorf(power.Settings, "settings", "%s %q: the path goes on after /redfish/v1; write the host, and the system's name into %s",
			paramAddress, text, paramNode)
	}
	a.Path = strings.TrimRight(prefix, "/")
	return a.URL(), nil
}
