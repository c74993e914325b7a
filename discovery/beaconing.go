package discovery

import (
	"context"
	"time"
)

// When beacons are sent: twice when an interface comes up, then regularly, and when another rack
// asks, but not more often than every few seconds.
const (
	beaconTwice    = 3 * time.Second
	beaconInterval = 30 * time.Second
	beaconPause    = 5 * time.Second
)

// beacon sends beacons on a port until ctx ends.
func (w *watcher) beacon(ctx context.Context, p *port) {
	w.sendBeacon(p, true)
	next := time.NewTimer(beaconTwice)
	defer next.Stop()
	answered := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			w.sendBeacon(p, true)
			next.Reset(beaconInterval)
		case <-p.ask:
			if time.Since(answered) >= beaconPause {
				answered = time.Now()
				w.sendBeacon(p, false)
			}
		}
	}
}

func (w *watcher) sendBeacon(p *port, solicit bool) {
	mac := p.conn.Interface().MAC
	frame := w.cfg.Key.Encode(mac, Beacon{Rack: w.cfg.Rack, Interface: p.name, Solicit: solicit, Time: time.Now()})
	if err := p.conn.Send(frame); err != nil {
		w.cfg.Log.Debug("beacon not sent", "interface", p.name, "err", err)
	}
}

// heard answers a beacon that asks for it.
func (w *watcher) heard(p *port, b *Beacon) {
	if !b.Solicit || b.Rack == w.cfg.Rack || w.cfg.Rack == "" {
		return
	}
	select {
	case p.ask <- struct{}{}:
	// One beacon answers all racks that ask meanwhile.
	default:
	}
}
