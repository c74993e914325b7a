package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// statusCmd is `maas status`.
type statusCmd struct{ remote }

// siteStatus holds a site in the size of one screen.
type siteStatus struct {
	Racks    []rackStatus    `json:"racks"`
	Subnets  []subnetStatus  `json:"subnets"`
	Machines map[string]int  `json:"machines"` // by state, and by power
	Trouble  []maasapi.Event `json:"trouble"`  // warnings and errors of the last day, newest first
}

// rackStatus is a rack with its services.
type rackStatus struct {
	Name     string     `json:"name"`
	Seen     *time.Time `json:"last_seen"`
	Services []string   `json:"services"` // with their state, if they do not simply run
	Faults   []string   `json:"faults"`
}

// subnetStatus is a subnet with the use of its addresses.
type subnetStatus struct {
	CIDR    string `json:"cidr"`
	DHCP    string `json:"dhcp"` // on, off or the relay
	Dynamic string `json:"dynamic"`
	Usage   string `json:"usage"`
}

// troubleTime is the age of the oldest event that a status shows, troubleLines the number of
// events.
const (
	troubleTime  = 24 * time.Hour
	troubleLines = 8
)

// Run runs the command.
func (c statusCmd) Run(ctx context.Context, io stdio) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	s, err := readStatus(ctx, cl)
	if err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, s, "", nil)
	}
	return s.write(c.remote, io.out)
}

// readStatus asks the API for the parts of a status.
func readStatus(ctx context.Context, cl client.Client) (s siteStatus, err error) {
	var racks []maasapi.Controller
	var machines []maasapi.Machine
	err = errors.Join(cl.Get(ctx, client.API+"rackcontrollers/", &racks), cl.Get(ctx, client.API+"machines/", &machines))
	if err != nil {
		return s, err
	}
	s.Racks, s.Machines = []rackStatus{}, map[string]int{}
	for _, r := range racks {
		s.Racks = append(s.Racks, statusOfRack(r))
	}
	for _, m := range machines {
		s.Machines[strings.ToLower(m.StatusName)]++
		if m.PowerType != "" && m.PowerType != "manual" {
			s.Machines["power "+cmp.Or(m.PowerState, "unknown")]++
		}
	}
	if s.Subnets, err = statusOfSubnets(ctx, cl); err != nil {
		return s, err
	}
	s.Trouble = []maasapi.Event{}
	for _, level := range []string{"WARNING", "ERROR", "CRITICAL"} {
		some, err := eventsCmd{Level: level, Limit: troubleLines, Since: troubleTime}.past(ctx, cl, "")
		if err != nil {
			return s, err
		}
		s.Trouble = append(s.Trouble, some...)
	}
	slices.SortFunc(s.Trouble, func(a, b maasapi.Event) int { return b.Created.Compare(a.Created) })
	s.Trouble = s.Trouble[:min(len(s.Trouble), troubleLines)]
	return s, nil
}

// statusOfRack returns the services of a rack. A service that does not simply run is named with its
// state and reason.
func statusOfRack(r maasapi.Controller) rackStatus {
	out := rackStatus{Name: r.Hostname, Seen: r.LastSeen, Services: []string{}, Faults: []string{}}
	for _, s := range r.Services {
		switch s.Status {
		case "running":
			out.Services = append(out.Services, s.Name)
		case "off":
		default:
			out.Services = append(out.Services, s.Name+":"+s.Status)
			if s.StatusInfo != "" {
				out.Faults = append(out.Faults, s.Name+": "+s.StatusInfo)
			}
		}
	}
	if r.Revoked != nil {
		out.Services = []string{"revoked"}
	}
	for _, p := range r.Proposals {
		if !p.Ignored {
			out.Faults = append(out.Faults, fmt.Sprintf("%s on %s is not served: maas rack accept %s %s", p.Network, p.Interface, r.Hostname, p.Network))
		}
	}
	return out
}

// statusOfSubnets returns the subnets with the use of their addresses.
func statusOfSubnets(ctx context.Context, cl client.Client) ([]subnetStatus, error) {
	subnets, err := target{resource: resourceNamed("subnet"), client: cl}.list(ctx, nil)
	if err != nil {
		return nil, err
	}
	out := []subnetStatus{}
	for _, raw := range subnets {
		var o object
		if err := decode(raw, &o); err != nil {
			return nil, err
		}
		var use struct {
			Usage string `json:"usage_string"`
			Free  string `json:"available_string"`
		}
		if err := cl.Get(ctx, client.API+"subnets/"+summary(o["id"])+"/?op=statistics", &use); err != nil {
			return nil, err
		}
		out = append(out, subnetStatus{CIDR: summary(o["cidr"]), DHCP: servedBy(o), Dynamic: dynamicRanges(o), Usage: use.Usage})
	}
	return out, nil
}

// write prints the status.
func (s siteStatus) write(c remote, w io.Writer) error {
	err := c.print(w, nil, "RACK\tSEEN\tSERVICES", func(row func(...string)) {
		for _, r := range s.Racks {
			seen := "never"
			if r.Seen != nil {
				seen = time.Since(*r.Seen).Round(time.Second).String() + " ago"
			}
			row(r.Name, seen, strings.Join(r.Services, " "))
		}
	})
	for _, r := range s.Racks {
		for _, fault := range r.Faults {
			fmt.Fprintf(w, "  %s: %s\n", r.Name, painted(w, "31", printable(fault)))
		}
	}
	fmt.Fprintln(w)
	err = errors.Join(err, c.print(w, nil, "SUBNET\tDHCP\tDYNAMIC RANGES\tUSED", func(row func(...string)) {
		for _, n := range s.Subnets {
			row(n.CIDR, n.DHCP, n.Dynamic, n.Usage)
		}
	}))
	var counts []string
	for _, name := range slices.Sorted(maps.Keys(s.Machines)) {
		counts = append(counts, fmt.Sprintf("%d %s", s.Machines[name], name))
	}
	fmt.Fprintf(w, "\nMachines: %s\n", cmp.Or(strings.Join(counts, ", "), "none"))
	if len(s.Trouble) == 0 {
		fmt.Fprintln(w, "No warnings in the last day.")
	} else {
		fmt.Fprintln(w, "\nWarnings of the last day, newest first:")
	}
	for _, e := range s.Trouble {
		err = errors.Join(err, eventsCmd{remote: c}.writeEvent(w, e))
	}
	return err
}
