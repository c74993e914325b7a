package region

import (
	"context"
	"errors"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/plan"
)

// bootVia starts a machine from a medium that one of its racks makes: from its virtual CD drive, or
// by UEFI HTTP boot. The rack that makes the medium is the one that switches the machine, so that
// the BMC reaches both.
func (p *powerService) bootVia(ctx context.Context, m inventory.Machine, o maasapi.PowerOptions) (power.Result, error) {
	const op = "make the boot medium"
	result := power.Result{State: power.Unknown}
	fresh, err := p.region.inv.MachineBySystemID(ctx, m.SystemID) // with the addresses that were just assigned
	if err != nil {
		return result, err
	}
	networks, err := p.region.networksNow(ctx)
	if err != nil {
		return result, err
	}
	request := pxerpc.MediumRequest{MAC: fresh.BootMAC(), Reader: plan.BMCHost(&fresh)}
	if request.Network, err = plan.StaticNetwork(networks, &fresh); err != nil {
		return result, power.Errorf(power.Settings, op, "%w", err)
	}
	if request.Profile, err = plan.MediumProfile(networks, &fresh, request.Network.Address); err != nil {
		return result, power.Errorf(power.Settings, op, "%w", err)
	}
	if o.Via == maasapi.ViaHTTP {
		request.Reader = "" // the firmware reads it, with the machine's address
	}
	err = p.byRacks(ctx, fresh, op, p.rackWait, func(rack rpc.Caller, t power.Target) (again bool, err error) {
		url, err := pxerpc.Medium(ctx, rack, request)
		var refused pxerpc.MediumError
		switch {
		case errors.As(err, &refused):
			return false, power.Errorf(power.Settings, op, "%w", err)
		case err != nil:
			return true, power.Errorf(power.Connection, op, "ask the rack: %w", err)
		}
		result, err = p.bootURL(ctx, rack, t, url, o)
		hide(&result, url)
		if perr := (*power.Error)(nil); errors.As(err, &perr) {
			err = power.Errorf(perr.Class, hidden(perr.Op, url), "%s", hidden(perr.Err.Error(), url))
		}
		return false, err // the machine may have been switched
	})
	return result, err
}

// hidden replaces the URL of a medium, by which any host could read it, in texts that users read.
func hidden(text, url string) string { return strings.ReplaceAll(text, url, "the boot medium") }

func hide(r *power.Result, url string) {
	for i := range r.Steps {
		r.Steps[i].Op, r.Steps[i].Err = hidden(r.Steps[i].Op, url), hidden(r.Steps[i].Err, url)
	}
	r.Media, r.Transcript = "", hidden(r.Transcript, url)
}

// bootURL starts a machine from a URL through a rack.
func (p *powerService) bootURL(ctx context.Context, rack rpc.Caller, t power.Target, url string, o maasapi.PowerOptions) (power.Result, error) {
	start := powerrpc.Request{Target: t, Action: power.ActionCycle, Boot: power.NetworkHTTP, BootURL: url, Transcript: o.Transcript}
	if o.Via == maasapi.ViaHTTP {
		return powerrpc.Do(ctx, rack, start)
	}
	inserted, err := powerrpc.Do(ctx, rack, powerrpc.Request{Target: t, Action: power.ActionInsert, Media: url, Transcript: o.Transcript})
	if err != nil {
		return inserted, err
	}
	start.Boot, start.BootURL = power.CD, ""
	result, err := powerrpc.Do(ctx, rack, start)
	result.Steps = append(inserted.Steps, result.Steps...)
	result.Transcript = inserted.Transcript + result.Transcript
	if err == nil && !tookBoot(result, power.CD) {
		err = power.Errorf(power.Unsupported, "boot once from cd", "the machine was restarted, but its power control cannot choose the CD drive for one boot; set its boot order")
	}
	return result, err
}

// tookBoot reports whether the boot device of the next boot was set.
func tookBoot(r power.Result, device power.BootDevice) bool {
	for _, s := range r.Steps {
		if s.Op == "boot once from "+string(device) && s.Err == "" {
			return true
		}
	}
	return false
}
