package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// lookAtSite asks a region about what is served, what racks propose, and for its time. A region
// that does not answer leaves all unknown: that it does not is found elsewhere.
func lookAtSite(ctx context.Context, c client.Client) (out []VLAN, proposals []Proposal, clock Clock) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var subnets []maasapi.Subnet
	var racks []maasapi.Controller
	before := time.Now()
	date, err := c.Date(ctx)
	if err == nil {
		// The date is of whole seconds, so that it is half a second old on average.
		clock = Clock{true, before.Add(time.Since(before) / 2).Sub(date.Add(time.Second / 2))}
	}
	if errors.Join(c.Get(ctx, client.API+"subnets/", &subnets), c.Get(ctx, client.API+"rackcontrollers/", &racks)) != nil {
		return nil, nil, clock
	}
	var addrs []netip.Addr
	for _, r := range racks {
		for _, p := range r.Proposals {
			if !p.Ignored {
				proposals = append(proposals, Proposal{r.Hostname, p.Interface, p.Network})
			}
		}
		for _, text := range r.IPAddresses {
			if a, err := netip.ParseAddr(text); err == nil {
				addrs = append(addrs, a)
			}
		}
	}
	return vlansOf(subnets, addrs), proposals, clock
}

// vlansOf gathers the VLANs with DHCP on from their subnets.
func vlansOf(subnets []maasapi.Subnet, racks []netip.Addr) (out []VLAN) {
	at := map[int64]int{}
	for _, s := range subnets {
		if s.VLAN == nil || !s.VLAN.DHCPOn {
			continue
		}
		i, known := at[s.VLAN.ID]
		if !known {
			i = len(out)
			at[s.VLAN.ID] = i
			v := VLAN{Name: fmt.Sprintf("%s/%d", s.VLAN.Fabric, s.VLAN.VID), MTU: s.VLAN.MTU}
			for _, r := range []string{s.VLAN.PrimaryRack, s.VLAN.SecondaryRack} {
				if r != "" {
					v.Racks = append(v.Racks, r)
				}
			}
			if s.VLAN.RelayVLAN != nil {
				v.Relay = fmt.Sprintf("%s/%d", s.VLAN.RelayVLAN.Fabric, s.VLAN.RelayVLAN.VID)
			}
			out = append(out, v)
		}
		out[i].Subnets = append(out[i].Subnets, s.CIDR)
		for _, r := range s.Ranges {
			out[i].Ranges = out[i].Ranges || r.Type == "dynamic"
		}
		p, err := netip.ParsePrefix(s.CIDR)
		out[i].Near = out[i].Near || err == nil && slices.ContainsFunc(racks, p.Contains)
	}
	return out
}

// lookAtIdentity reads what a rack of another process than its region has, and tries the region.
func lookAtIdentity(ctx context.Context, path, data string) (c Certificate, r Region) {
	id, err := enrol.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, r
	}
	c = Certificate{Known: true, Err: err, Now: time.Now()}
	if err != nil {
		return c, r
	}
	c.Expires = id.Cert.NotAfter
	r = reach(ctx, regionAddresses(data))
	return c, r
}

// reach tries addresses until one takes a connection.
func reach(ctx context.Context, addresses []string) (r Region) {
	r = Region{Known: len(addresses) > 0, Tried: addresses}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	for _, a := range addresses {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", a)
		if err == nil {
			conn.Close()
			return Region{Known: true, Tried: []string{a}}
		}
		r.Err = err
	}
	return r
}

// regionAddresses returns the addresses of the regions that the rack stored when it joined.
func regionAddresses(data string) []string {
	var joined struct {
		Regions []string `json:"regions"`
	}
	text, err := os.ReadFile(filepath.Join(data, "rack", "joined.json"))
	if err != nil || json.Unmarshal(text, &joined) != nil {
		return nil // the certificate's check says that it is not enrolled
	}
	return joined.Regions
}
