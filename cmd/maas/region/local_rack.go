package region

import (
	"sync"
	"time"

	"github.com/gomaas/maas/rpc/enrol"
)

// LocalRackIdentity is who the rack of this process is to the racks of others, always good for some time yet. It is nil when
// this region takes no such racks.
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
