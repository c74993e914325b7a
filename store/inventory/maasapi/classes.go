package maasapi

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// dhcpClassJSON is a kind of DHCP clients. MAAS has no such resource.
type dhcpClassJSON struct {
	ID          int64    `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Sequence    int      `json:"sequence"` // the lowest decides for a client of several classes
	VendorClass string   `json:"vendor_class"`
	UserClass   string   `json:"user_class"`
	Arch        []uint16 `json:"arch"` // numbers of DHCP option 93
	MACPrefix   string   `json:"mac_prefix"`
	CircuitID   string   `json:"circuit_id"` // text, or 0x and hexadecimal digits
	Ignore      bool     `json:"ignore"`     // its clients get no answer
	Options     string   `json:"options"`    // as those of DHCP snippets
	ResourceURI string   `json:"resource_uri"`
}

// dhcpClasses serves kinds of DHCP clients.
func (a *API) dhcpClasses() crud[inventory.Class] {
	return crud[inventory.Class]{
		shown: dhcpClassJSON{}, tx: a.tx, all: every(a.inv.Classes.List),
		find: func(r *http.Request) (inventory.Class, error) {
			if id, err := strconv.ParseInt(r.PathValue("id"), 10, 64); err == nil {
				return a.inv.Classes.Get(r.Context(), id)
			}
			return a.inv.Classes.Find(r.Context(), r.PathValue("id"))
		},
		show:   each(a.showClass),
		read:   func(_ *http.Request, f *form.Form, to *inventory.Class) { readClass(f, to) },
		create: a.inv.Classes.Create, update: a.inv.Classes.Update,
		remove: removing(a.inv.Classes.Delete, func(c inventory.Class) int64 { return c.ID }),
	}
}

func (a *API) showClass(c inventory.Class) any {
	return dhcpClassJSON{
		ID: c.ID, Name: c.Name, Description: c.Description, Sequence: c.Sequence, VendorClass: c.VendorClass, UserClass: c.UserClass,
		Arch: append([]uint16{}, c.Arch...), MACPrefix: c.MACPrefix, CircuitID: c.CircuitID, Ignore: c.Ignore, Options: c.Options,
		ResourceURI: fmt.Sprintf("%sdhcp-classes/%d/", a.base, c.ID),
	}
}

func readClass(f *form.Form, to *inventory.Class) {
	f.Text("name", &to.Name)
	f.Text("description", &to.Description)
	f.Number("sequence", &to.Sequence)
	f.Text("vendor_class", &to.VendorClass)
	f.Text("user_class", &to.UserClass)
	f.Text("mac_prefix", &to.MACPrefix)
	f.Text("circuit_id", &to.CircuitID)
	f.Flag("ignore", &to.Ignore)
	f.Text("options", &to.Options)
	if !f.Has("arch") {
		return
	}
	to.Arch = nil
	for _, text := range f.List("arch") {
		n, err := strconv.ParseUint(text, 0, 16)
		method, named := firmware.MethodNamed(text)
		switch {
		case err == nil:
			to.Arch = append(to.Arch, uint16(n))
		case named && len(method.Arch) > 0:
			for _, arch := range method.Arch {
				to.Arch = append(to.Arch, uint16(arch))
			}
		default:
			f.Wrong("arch", "%q is neither a number of DHCP option 93, such as 7 or 0x10, nor a boot method, such as uefi-amd64-pxe", text)
		}
	}
}

// classRef resolves a class in a form by number or name.
func (a *API) classRef(r *http.Request) func(string) (int64, error) {
	return func(text string) (int64, error) {
		c, err := a.inv.Classes.Find(r.Context(), text)
		if n, nerr := strconv.ParseInt(text, 10, 64); err != nil && nerr == nil {
			c, err = a.inv.Classes.Get(r.Context(), n)
		}
		return c.ID, err
	}
}

// classNames returns the names of all classes by ID.
func (a *API) classNames(r *http.Request) (map[int64]string, error) {
	all, err := a.inv.Classes.List(r.Context())
	names := make(map[int64]string, len(all))
	for _, c := range all {
		names[c.ID] = c.Name
	}
	return names, err
}
