package region

import (
	"io/fs"
	"net/http"
	"strings"

	"github.com/gomaas/maas/ipam/netconfig"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/plan"
)

// NetworkExplanation is the network configuration of a machine in a format.
type NetworkExplanation struct {
	Machine string        `json:"machine"`
	Format  string        `json:"format"`
	Files   []NetworkFile `json:"files"`
	// Open names what is not decided yet, such as an address that is assigned at deployment.
	// Warnings name what the format cannot express.
	Open     []string `json:"open"`
	Warnings []string `json:"warnings"`
}

// NetworkFile is a file on the machine.
type NetworkFile struct {
	Path    string      `json:"path"`
	Mode    fs.FileMode `json:"mode"`
	Content string      `json:"content"`
}

// getNetworkExplanation renders the network configuration of a machine. Its parameter format is one
// of netconfig.Formats, netplan if it is empty.
func (r *Region) getNetworkExplanation(req *http.Request) (any, error) {
	format := netconfig.Format(req.URL.Query().Get("format"))
	if format == "" {
		format = netconfig.Netplan
	}
	machine, err := r.inv.Machines.Find(req.Context(), req.PathValue("name"))
	if err != nil {
		return nil, err
	}
	m, err := r.networksNow(req.Context())
	if err != nil {
		return nil, err
	}
	c, open := plan.NetworkConfig(m, &machine)
	rendered, err := netconfig.Render(c, format)
	if err != nil {
		return nil, maasapi.BadField("format", strings.TrimPrefix(err.Error(), "netconfig: "))
	}
	out := NetworkExplanation{
		Machine: machine.FQDN, Format: string(format), Files: []NetworkFile{}, Open: append([]string{}, open...), Warnings: append([]string{}, rendered.Warnings...),
	}
	for _, f := range rendered.Files {
		out.Files = append(out.Files, NetworkFile{f.Path, f.Mode, f.Text})
	}
	return out, nil
}
