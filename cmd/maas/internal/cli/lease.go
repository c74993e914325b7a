package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// leaseCmd is the group `maas lease`.
type leaseCmd struct {
	List    leaseListCmd    `cmd:"" help:"List leases of addresses and prefixes, and the addresses that DHCP keeps for clients."`
	Show    leaseShowCmd    `cmd:"" help:"Show the lease of an address, or of the delegated prefix that it is part of."`
	Reserve leaseReserveCmd `cmd:"" help:"Keep the address of a lease for its client."`
	History leaseHistoryCmd `cmd:"" help:"List who had which address when, the latest first."`
	Release leaseReleaseCmd `cmd:"" help:"End the lease of an address or a delegated prefix, as its client would."`
}

const leasesPath = "/api/v1/leases"

// leaseListCmd is `maas lease list`.
type leaseListCmd struct {
	remote
	Subnet string `help:"Only leases in a subnet." placeholder:"SUBNET"`
	MAC    string `name:"mac" help:"Only leases of a MAC address." placeholder:"MAC"`
	Name   string `help:"Only leases of clients or machines with this in their name." placeholder:"TEXT"`
	State  string `enum:",active,expired,reserved" default:"" help:"Only leases of a state: active, expired, or reserved for a client." placeholder:"STATE"`
}

// Run runs the command.
func (c leaseListCmd) Run(ctx context.Context, io stdio) error {
	query := url.Values{}
	for name, value := range map[string]string{"subnet": c.Subnet, "mac_address": c.MAC, "name": c.Name, "state": c.State} {
		if value != "" {
			query.Set(name, value)
		}
	}
	leases := []maasapi.Lease{}
	if err := c.get(ctx, leasesPath+"?"+query.Encode(), &leases); err != nil {
		return err
	}
	return c.print(io.out, leases, "ADDRESS\tMAC\tNAME\tMACHINE\tSUBNET\tSTATE\tSINCE\tEXPIRES", func(row func(...string)) {
		for _, l := range leases {
			row(cmp.Or(l.Prefix, l.IP), cmp.Or(l.MACAddress, l.ClientID), printable(l.Hostname), l.FQDN, l.Subnet, l.State, at0(l.Began), at0(l.Expires))
		}
	})
}

// at0 returns a time that may be missing.
func at0(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

// leaseShowCmd is `maas lease show`.
type leaseShowCmd struct {
	remote
	Addr string `arg:"" help:"The address."`
	Last int    `default:"10" help:"Number of past leases."`
}

// Run runs the command.
func (c leaseShowCmd) Run(ctx context.Context, io stdio) error {
	var l struct {
		maasapi.Lease
		History []maasapi.LeasePeriod `json:"history"`
	}
	past := url.Values{"ip": {c.Addr}, "limit": {fmt.Sprint(c.Last)}}
	if err := c.get(ctx, leasesPath+"/history?"+past.Encode(), &l.History); err != nil {
		return err
	}
	// An address that no client has now is shown by its past alone.
	err := c.get(ctx, leasesPath+"/"+url.PathEscape(c.Addr), &l.Lease)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && len(l.History) > 0:
		l.Lease = maasapi.Lease{IP: c.Addr, State: "free"}
	default:
		return err
	}
	if c.Output != "table" {
		return c.print(io.out, l, "", nil)
	}
	writeRows(io.out, "%-10s %s\n", [][2]string{
		{"address", cmp.Or(l.Prefix, l.IP)}, {"MAC", l.MACAddress}, {"client", l.ClientID}, {"name", l.Hostname}, {"machine", l.FQDN}, {"subnet", l.Subnet}, {"state", l.State},
		{"since", at0(l.Began)}, {"expires", at0(l.Expires)},
	})
	if len(l.History) == 0 {
		return nil
	}
	fmt.Fprintln(io.out)
	return printPeriods(c.remote, io, l.History)
}

// printPeriods prints a history of leases.
func printPeriods(c remote, io stdio, all []maasapi.LeasePeriod) error {
	return c.print(io.out, all, "ADDRESS\tMAC\tNAME\tBEGAN\tENDED\tHOW", func(row func(...string)) {
		for _, p := range all {
			row(cmp.Or(p.Prefix, p.IP), cmp.Or(p.MACAddress, p.ClientID), printable(p.Hostname), stamp(p.Began), at0(p.Ended), p.How)
		}
	})
}

// leaseHistoryCmd is `maas lease history`.
type leaseHistoryCmd struct {
	remote
	Addr  string `arg:"" optional:"" help:"Only leases of an address."`
	MAC   string `name:"mac" help:"Only leases of a MAC address." placeholder:"MAC"`
	At    string `help:"Only leases at a time: such as 2026-11-30T08:00:00Z, or how long ago, such as 2h." placeholder:"TIME"`
	Limit int    `default:"50" help:"Number of leases."`
}

// Run runs the command.
func (c leaseHistoryCmd) Run(ctx context.Context, io stdio) error {
	query := url.Values{"limit": {fmt.Sprint(c.Limit)}}
	for name, value := range map[string]string{"ip": c.Addr, "mac_address": c.MAC, "at": c.At} {
		if value != "" {
			query.Set(name, value)
		}
	}
	all := []maasapi.LeasePeriod{}
	if err := c.get(ctx, leasesPath+"/history?"+query.Encode(), &all); err != nil {
		return err
	}
	return printPeriods(c.remote, io, all)
}

// leaseReserveCmd is `maas lease reserve`.
type leaseReserveCmd struct {
	remote
	Addr    string `arg:"" help:"The address."`
	Comment string `help:"Comment of the reservation. The default is the client's name." placeholder:"TEXT"`
}

// Run runs the command.
func (c leaseReserveCmd) Run(ctx context.Context, io stdio) error {
	var l maasapi.Lease
	if err := c.get(ctx, leasesPath+"/"+url.PathEscape(c.Addr), &l); err != nil {
		return err
	}
	if l.Prefix != "" {
		return fmt.Errorf("%s is part of the delegated prefix %s: only addresses can be reserved", c.Addr, l.Prefix)
	}
	form := url.Values{"ip": {l.IP}, "mac_address": {l.MACAddress}, "comment": {cmp.Or(c.Comment, l.Hostname)}}
	if err := c.post(ctx, client.API+"reservedips/", form, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(io.out, "%s is reserved for %s.\n", l.IP, l.MACAddress)
	return err
}

// leaseReleaseCmd is `maas lease release`.
type leaseReleaseCmd struct {
	remote
	Addr string `arg:"" help:"The address."`
}

// Run runs the command.
func (c leaseReleaseCmd) Run(ctx context.Context, io stdio) error {
	if err := c.call(ctx, http.MethodDelete, leasesPath+"/"+url.PathEscape(c.Addr), nil, "", nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(io.out, "The lease of %s has ended. Its client is not told: it uses the address until it renews.\n", c.Addr)
	return err
}
