package virsh

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"

	"github.com/gomaas/maas/power"
)

// driver is a connection to a libvirt host for one of its machines. The library takes no context:
// when one ends the connection is closed, which ends the call.
type driver struct {
	virt    *libvirt.Libvirt
	conn    net.Conn
	machine libvirt.Domain
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	a, err := parse(p[paramAddress])
	if err != nil {
		return nil, err
	}
	conn, err := dial(ctx, a, p)
	if err != nil {
		return nil, err
	}
	d := &driver{virt: libvirt.NewWithDialer(dialers.NewAlreadyConnected(conn)), conn: conn}
	// The URI is the daemon's own: the connection has reached its host already.
	err = d.do(ctx, opConnect, func() error { return d.virt.ConnectToURI(libvirt.ConnectURI(a.local)) })
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := d.find(ctx, p[paramID]); err != nil {
		return nil, errors.Join(err, d.Close(ctx))
	}
	return d, nil
}

// do runs a call of the library until ctx ends.
func (d *driver) do(ctx context.Context, op string, call func() error) error {
	stop := context.AfterFunc(ctx, func() { d.conn.Close() })
	defer stop()
	return classify(ctx, op, call())
}

func classify(ctx context.Context, op string, err error) error {
	var refused libvirt.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return power.Errorf(power.Connection, op, "%w", ctx.Err())
	// Not an answer of libvirt: the connection failed, or ended within a call.
	case !errors.As(err, &refused):
		return power.Errorf(power.Connection, op, "%w", err)
	}
	switch libvirt.ErrorNumber(refused.Code) {
	case libvirt.ErrNoDomain:
		return power.Errorf(power.Settings, op, "%w", err)
	case libvirt.ErrAuthFailed, libvirt.ErrAuthCancelled, libvirt.ErrAuthUnavailable, libvirt.ErrAccessDenied:
		return power.Errorf(power.Auth, op, "%w", err)
	case libvirt.ErrNoSupport:
		return power.Errorf(power.Unsupported, op, "%w", err)
	}
	return power.Errorf(power.ActionFailed, op, "%w", err)
}

// find looks the machine up by UUID or name.
func (d *driver) find(ctx context.Context, id string) error {
	return d.do(ctx, fmt.Sprintf("find virtual machine %q", id), func() (err error) {
		// A UUID, with or without dashes; anything else is a name.
		if raw, bad := hex.DecodeString(strings.ReplaceAll(id, "-", "")); bad == nil && len(raw) == libvirt.UUIDBuflen {
			d.machine, err = d.virt.DomainLookupByUUID(libvirt.UUID(raw))
			return err
		}
		d.machine, err = d.virt.DomainLookupByName(id)
		return err
	})
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	var state int32
	err := d.do(ctx, "read the power state", func() (err error) {
		state, _, err = d.virt.DomainGetState(d.machine, 0)
		return err
	})
	if err != nil {
		return power.Unknown, err
	}
	switch libvirt.DomainState(state) {
	// A paused domain holds its memory and devices, so starting it again is refused.
	case libvirt.DomainRunning, libvirt.DomainBlocked, libvirt.DomainPaused, libvirt.DomainPmsuspended:
		return power.On, nil
	case libvirt.DomainShutdown: // on its way
		return power.Transitioning, nil
	case libvirt.DomainShutoff, libvirt.DomainCrashed:
		return power.Off, nil
	}
	return power.Unknown, nil
}

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	var err error
	if target == power.On {
		err = d.start(ctx, "power on")
	} else {
		err = d.do(ctx, "power off", func() error { return d.virt.DomainDestroy(d.machine) })
	}
	var refused libvirt.Error
	// libvirt refuses to start a running domain, while asking for the state that holds is no error
	// here.
	if errors.As(err, &refused) && libvirt.ErrorNumber(refused.Code) == libvirt.ErrOperationInvalid {
		if state, serr := d.PowerState(ctx); serr == nil && state == target {
			return nil // the domain is in that state already
		}
	}
	return err
}

// Reset implements power.Resetter.
func (d *driver) Reset(ctx context.Context) error {
	return d.do(ctx, "reset", func() error { return d.virt.DomainReset(d.machine, 0) })
}

// SoftOff implements power.SoftOffer.
func (d *driver) SoftOff(ctx context.Context) error {
	return d.do(ctx, "soft shutdown", func() error { return d.virt.DomainShutdown(d.machine) })
}

// Close implements power.Closer.
func (d *driver) Close(ctx context.Context) error {
	// Without the goodbye the daemon keeps the client until its keepalive fails.
	err := d.do(ctx, "close the connection", d.virt.Disconnect)
	d.conn.Close()
	return err
}
