package region

import (
	"sync"
	"time"

	"github.com/gomaas/maas/rpc/enrol"
)

// LocalRackIdentity returns the certificate that the rack of this process presents to its failover
// partners, renewed in time. It is nil if this region admits no racks of other processes.
func (r *Region) LocalRackIdentity() (func() *enrol.Identity, error) {
	if r.racks == nil {
		return nil, nil
	}
	current, err := r.racks.ca.Issue(r.localRack, r.racks.certLife)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return func() *enrol.Identity {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().After(current.RenewAt()) {
			if next, err := r.racks.ca.Issue(r.localRack, r.racks.certLife); err == nil {
				current = next
			} else {
				r.log.Error("identity of the co-located rack not renewed", "err", err)
			}
		}
		return current
	}, nil
}
