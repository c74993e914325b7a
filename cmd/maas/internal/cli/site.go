package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

type subnetCmd struct {
	List subnetListCmd `cmd:"" help:"List the subnets."`
}

type subnetListCmd struct{ remote }

// Run is called by the parser when the command was given.
func (c subnetListCmd) Run(ctx context.Context, io stdio) error {
	var subnets []maasapi.Subnet
	if err := c.get(ctx, client.API+"subnets/", &subnets); err != nil {
		return err
	}
	return c.print(io.out, subnets, "SUBNET\tGATEWAY\tVLAN\tDHCP\tDYNAMIC RANGES", func(row func(...string)) {
		for _, s := range subnets {
			var ranges []string
			for _, r := range s.Ranges {
				if r.Type == "dynamic" {
					ranges = append(ranges, r.StartIP+"-"+r.EndIP)
				}
			}
			gateway, dhcp := "", "off"
			if s.GatewayIP != nil {
				gateway = *s.GatewayIP
			}
			if s.VLAN.DHCPOn {
				dhcp = "on"
			}
			row(s.CIDR, gateway, fmt.Sprint(s.VLAN.VID), dhcp, strings.Join(ranges, " "))
		}
	})
}

type profileCmd struct {
	Show profileShowCmd `cmd:"" help:"Show it."`
	Set  profileSetCmd  `cmd:"" help:"Set it from a JSON file."`
}

const profilePath = "/api/v1/boot-profile"

type profileShowCmd struct{ remote }

// Run is called by the parser when the command was given.
func (c profileShowCmd) Run(ctx context.Context, io stdio) error {
	var p pxe.Profile
	if err := c.get(ctx, profilePath, &p); err != nil {
		return err
	}
	c.Output = "json" // a profile has no table
	return c.print(io.out, p, "", nil)
}

type profileSetCmd struct {
	remote
	File string `arg:"" help:"JSON file with kernel, initrd and cmdline; files are named as the daemon serves them." type:"existingfile"`
}

// Run is called by the parser when the command was given.
func (c profileSetCmd) Run(ctx context.Context) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, profilePath, bytes.NewReader(data), "application/json", nil)
}

type eventsCmd struct {
	remote
	Machine string `arg:"" optional:"" help:"Name or system ID; all machines when left out."`
	Limit   int    `default:"50" help:"How many."`
}

// Run is called by the parser when the command was given.
func (c eventsCmd) Run(ctx context.Context, io stdio) error {
	var answer struct {
		Events []struct {
			Type        string    `json:"type"`
			Level       string    `json:"level"`
			Created     time.Time `json:"created"`
			Description string    `json:"description"`
		} `json:"events"`
	}
	query := url.Values{"op": {"query"}, "limit": {fmt.Sprint(c.Limit)}}
	if c.Machine != "" {
		query.Set("id", c.Machine)
	}
	if err := c.get(ctx, client.API+"events/?"+query.Encode(), &answer); err != nil {
		return err
	}
	return c.print(io.out, answer.Events, "TIME\tLEVEL\tKIND\tWHAT", func(row func(...string)) {
		for _, e := range answer.Events {
			row(e.Created.Local().Format(time.DateTime), e.Level, e.Type, e.Description)
		}
	})
}
