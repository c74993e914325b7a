// Package kinds has the list of all power types that are built into the program.
//
//	c, err := power.NewController(power.Config{Registry: kinds.All()})
//
// A program that needs few of them registers these alone, and does not link the others.
package kinds

import (
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/amt"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/lxd"
	"github.com/gomaas/maas/power/openbmc"
	"github.com/gomaas/maas/power/pdu"
	"github.com/gomaas/maas/power/proxmox"
	"github.com/gomaas/maas/power/qmp"
	"github.com/gomaas/maas/power/redfish"
	"github.com/gomaas/maas/power/smartplug"
	"github.com/gomaas/maas/power/ssh"
	"github.com/gomaas/maas/power/virsh"
	"github.com/gomaas/maas/power/webhook"
	"github.com/gomaas/maas/power/wol"
)

// All returns a new registry of all power types.
func All() power.Registry {
	return power.NewRegistry(append(pdu.Kinds(),
		ipmi.Kind(), redfish.Kind(), webhook.Kind(), openbmc.Kind(), virsh.Kind(), qmp.Kind(), wol.Kind(), ssh.Kind(),
		amt.Kind(), proxmox.Kind(), lxd.Kind(), smartplug.Kind(), power.Manual())...)
}
