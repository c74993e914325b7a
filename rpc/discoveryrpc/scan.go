package discoveryrpc

import (
	"context"
	"net/netip"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/rpc"
)

// Names of the calls.
const (
	methodStart  = "discovery.scan"
	methodStatus = "discovery.scan-status"
	methodCancel = "discovery.scan-cancel"
)

// ScanRequest has a rack sweep subnets that it is linked to. It has one sweep at a time.
type ScanRequest struct {
	// ID names the scan for the other calls.
	ID string `json:"id"`
	// Prefixes are the subnets; each must be one of its policy's.
	Prefixes []netip.Prefix `json:"prefixes"`
	// Slow asks ten addresses a second, else a thousand.
	Slow bool `json:"slow,omitempty"`
}

// ScanStatus is the progress of a scan.
type ScanStatus struct {
	ID string `json:"id"`
	discovery.SweepProgress
	// Running says that it has not ended.
	Running bool `json:"running"`
	// Error is the reason for an early end, empty when the scan is complete or in progress.
	Error string `json:"error,omitempty"`
}

// Sweeper is a rack's side. Its methods may be called concurrently and do not wait for a scan.
type Sweeper interface {
	// Start begins a scan. fs.ErrExist means that another one runs, rpc.ErrInvalid that a prefix is
	// not this rack's.
	Start(ctx context.Context, r ScanRequest) (ScanStatus, error)
	// Status returns the progress of the scan with the ID, also after its end; fs.ErrNotExist when
	// the ID is unknown or forgotten.
	Status(ctx context.Context, id string) (ScanStatus, error)
	// Cancel ends the scan with the ID and returns its last status.
	Cancel(ctx context.Context, id string) (ScanStatus, error)
}

// OfferScans lets the region use a sweeper.
func OfferScans(m *rpc.Methods, s Sweeper) {
	rpc.Offer(m, methodStart, s.Start)
	rpc.Offer(m, methodStatus, s.Status)
	rpc.Offer(m, methodCancel, s.Cancel)
}

// StartScan asks the rack behind the caller; it returns the errors of [Sweeper].
func StartScan(ctx context.Context, c rpc.Caller, r ScanRequest) (ScanStatus, error) {
	return rpc.Do[ScanStatus](ctx, c, methodStart, r)
}

// StatusOfScan asks the rack behind the caller; it returns the errors of [Sweeper].
func StatusOfScan(ctx context.Context, c rpc.Caller, id string) (ScanStatus, error) {
	return rpc.Do[ScanStatus](ctx, c, methodStatus, id)
}

// CancelScan asks the rack behind the caller; it returns the errors of [Sweeper].
func CancelScan(ctx context.Context, c rpc.Caller, id string) (ScanStatus, error) {
	return rpc.Do[ScanStatus](ctx, c, methodCancel, id)
}
