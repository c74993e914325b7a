package virsh

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/gomaas/maas/power"
)

// bootOrders are libvirt's boot devices, first ones first. Network cards and disks stay behind the
// device that is meant, so that a machine whose server does not answer still boots.
var bootOrders = map[power.BootDevice][]string{
	power.Network: {"network", "hd"},
	power.Disk:    {"hd", "network"},
	power.CD:      {"cdrom", "hd"},
	power.Default: nil,
}

// libvirt has no boot device for one boot. The one that is chosen is kept as metadata of the
// machine, where other connections of this driver find it, and the next start is made from a copy
// of the definition that names it.
const (
	metadataURI = "https://github.com/gomaas/maas/power/virsh"
	metadataKey = "gomaas"
)

func order(op string, device power.BootDevice) ([]string, error) {
	devices, ok := bootOrders[device]
	if !ok {
		return nil, power.Errorf(power.Unsupported, op, "libvirt has no boot device %q", device)
	}
	return devices, nil
}

// SetBootOnce implements power.Booter. It holds for the next start by this driver; a start by
// another program boots as the definition says.
func (d *driver) SetBootOnce(ctx context.Context, device power.BootDevice) error {
	const op = "set the boot device"
	if _, err := order(op, device); err != nil {
		return err
	}
	return d.remember(ctx, op, device)
}

// remember keeps the device of the next start; Default forgets it.
func (d *driver) remember(ctx context.Context, op string, device power.BootDevice) error {
	text := libvirt.OptString{fmt.Sprintf("<boot once=%q/>", device)}
	if device == power.Default {
		text = nil
	}
	return d.do(ctx, op, func() error {
		return d.virt.DomainSetMetadata(d.machine, int32(libvirt.DomainMetadataElement), text,
			libvirt.OptString{metadataKey}, libvirt.OptString{metadataURI}, libvirt.DomainAffectConfig)
	})
}

// BootOnce implements power.Booter.
func (d *driver) BootOnce(ctx context.Context) (power.BootDevice, error) {
	var text string
	err := d.do(ctx, "read the boot device", func() (err error) {
		text, err = d.virt.DomainGetMetadata(d.machine, int32(libvirt.DomainMetadataElement), libvirt.OptString{metadataURI}, libvirt.DomainAffectConfig)
		return err
	})
	var refused libvirt.Error
	if errors.As(err, &refused) && libvirt.ErrorNumber(refused.Code) == libvirt.ErrNoDomainMetadata {
		return power.Default, nil
	}
	if err != nil {
		return "", err
	}
	var kept struct {
		Once power.BootDevice `xml:"once,attr"`
	}
	if xml.Unmarshal([]byte(text), &kept) != nil || bootOrders[kept.Once] == nil {
		return power.Default, nil // another program wrote it
	}
	return kept.Once, nil
}

// SetBootAlways implements power.AlwaysBooter. It changes the definition: orders of single devices
// are removed, since libvirt takes either those or the order of kinds.
func (d *driver) SetBootAlways(ctx context.Context, device power.BootDevice) error {
	const op = "set the boot device"
	devices, err := order(op, device)
	if err != nil {
		return err
	}
	definition, err := d.definition(ctx, op, devices)
	if err != nil {
		return err
	}
	return d.do(ctx, op, func() error {
		_, err := d.virt.DomainDefineXML(definition)
		return err
	})
}

// definition returns the machine's definition with another boot order. It is read with its secrets,
// such as the password of a display: what is written back without them has none.
func (d *driver) definition(ctx context.Context, op string, devices []string) (text string, err error) {
	err = d.do(ctx, op, func() error {
		text, err = d.virt.DomainGetXMLDesc(d.machine, libvirt.DomainXMLInactive|libvirt.DomainXMLSecure)
		return err
	})
	if err != nil {
		return "", err
	}
	if text, err = reorder(text, devices); err != nil {
		return "", power.Errorf(power.ActionFailed, op, "the definition of the machine: %w", err)
	}
	return text, nil
}

// start switches the machine on, by a copy of its definition if a boot device waits. The definition
// itself stays: libvirt goes back to it when the machine stops.
func (d *driver) start(ctx context.Context, op string) error {
	device, err := d.BootOnce(ctx)
	if err != nil && power.ClassOf(err) != power.Unsupported { // drivers without metadata keep no device
		return err
	}
	if err != nil || device == power.Default {
		return d.do(ctx, op, func() error { return d.virt.DomainCreate(d.machine) })
	}
	definition, err := d.definition(ctx, op, bootOrders[device])
	if err != nil {
		return err
	}
	err = d.do(ctx, op, func() error {
		_, err := d.virt.DomainCreateXML(definition, 0)
		return err
	})
	if err != nil {
		return err
	}
	return d.remember(ctx, op, power.Default)
}

// reorder replaces the boot devices of a definition. It cuts and inserts text, since a definition
// that is decoded and encoded again loses the namespaces of hypervisors' own elements.
func reorder(definition string, devices []string) (string, error) {
	var out strings.Builder
	decoder := xml.NewDecoder(strings.NewReader(definition))
	var path []string
	done, found := int64(0), false
	for {
		begin := decoder.InputOffset()
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
		case xml.EndElement:
			switch {
			case isBoot(path):
				// From where the element began, to its end.
				out.WriteString(strings.TrimRight(definition[done:strings.LastIndex(definition[:decoder.InputOffset()], "<boot")], " \t\n"))
				done = decoder.InputOffset()
			case slices.Equal(path, []string{"domain", "os"}):
				found = true
				out.WriteString(definition[done:begin])
				for _, device := range devices {
					fmt.Fprintf(&out, "<boot dev='%s'/>", device)
				}
				done = begin
			}
			path = path[:max(0, len(path)-1)]
		}
	}
	if !found {
		return "", errors.New("it has no element os with a choice of boot devices")
	}
	out.WriteString(definition[done:])
	return out.String(), nil
}

// isBoot reports whether an element is a boot device, of the machine or of one of its devices.
func isBoot(path []string) bool {
	return slices.Equal(path, []string{"domain", "os", "boot"}) ||
		len(path) == 4 && path[0] == "domain" && path[1] == "devices" && path[3] == "boot"
}
