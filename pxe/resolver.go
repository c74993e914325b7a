package pxe

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/pxe/firmware"
)

// ErrNoProfile is a Resolver's answer for a machine without a profile. It is a protocol answer, not
// a failure: the client receives "file not found" and tries its next name, or its next boot device.
// It wraps fs.ErrNotExist.
var ErrNoProfile = fmt.Errorf("pxe: no boot profile: %w", fs.ErrNotExist)

// Resolver chooses the profile of a machine. It is called for each configuration a loader asks for,
// from many goroutines at once, and nothing it returns is cached, so that a change holds for the
// next request. It may block until ctx ends. Request.MAC is nil for a client that cannot be
// identified: answer it with a default for everyone or with ErrNoProfile. An error other than
// ErrNoProfile is reported to the client as a server failure.
type Resolver interface {
	Resolve(ctx context.Context, r Request) (Profile, error)
}

// LoaderChoice holds what is known of the loader of a machine before it is offered one.
type LoaderChoice struct {
	Loader  firmware.Language // Profile.Loader
	Trust   []string          // Profile.Trust
	Started string            // path of the loader that its firmware started before; empty = not known
}

// LoaderChooser is an ability of a Resolver that knows from memory which loader a client should be
// offered. DHCP asks it, so it must not block.
type LoaderChooser interface {
	LoaderOf(r Request) LoaderChoice
}

// LoaderChoice returns what the profile says of loaders. A kind that only iPXE can boot asks for
// it, also as an entry of a menu.
func (p Profile) LoaderChoice() LoaderChoice {
	choice := LoaderChoice{Loader: p.Loader, Trust: p.Trust}
	if p.Loader == "" && (p.needsIPXE() || slices.ContainsFunc(p.Profiles, Profile.needsIPXE)) {
		choice.Loader = firmware.IPXE
	}
	return choice
}

// ResolverFunc makes a function a Resolver.
type ResolverFunc func(ctx context.Context, r Request) (Profile, error)

// Resolve calls f.
func (f ResolverFunc) Resolve(ctx context.Context, r Request) (Profile, error) { return f(ctx, r) }

// Static answers every machine with the same profile.
func Static(p Profile) Resolver { return static{p} }

type static struct{ profile Profile }

// Resolve implements Resolver.
func (s static) Resolve(context.Context, Request) (Profile, error) { return s.profile, nil }

// LoaderOf implements LoaderChooser.
func (s static) LoaderOf(Request) LoaderChoice { return s.profile.LoaderChoice() }

// Identifier finds the machine behind an address, usually from DHCP leases, for clients that do not
// name themselves. It must not block and may be called from many goroutines.
type Identifier interface {
	MACOf(addr netip.Addr) (net.HardwareAddr, bool)
}

// IdentifierFunc makes a function an Identifier.
type IdentifierFunc func(addr netip.Addr) (net.HardwareAddr, bool)

// MACOf calls f.
func (f IdentifierFunc) MACOf(addr netip.Addr) (net.HardwareAddr, bool) { return f(addr) }
