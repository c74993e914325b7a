package redfish

import (
	"github.com/gomaas/maas/power"
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
)

// Kind declares the power type "redfish".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "Redfish",
		Params: append([]power.Param{
			{Name: paramAddress, Label: "BMC address or URL", Required: true},
			{Name: paramUser, Label: "User", Required: true},
			{Name: paramPass, Label: "Password", Required: true, Secret: true},
			{Name: paramNode, Label: "System, when the BMC has several", Scope: power.ScopeNode},
			{Name: paramMode, Label: "Boot mode to name with a boot device, for BMCs that want one", Default: "auto", Choices: []string{"auto", "uefi", "legacy"}},
		}, bmchttp.Params()...),
		Open: open,
	}
}
