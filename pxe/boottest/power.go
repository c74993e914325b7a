package boottest

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// errNotBooted says that a machine has not finished a boot.
var errNotBooted = errors.New("boottest: the machine has not booted")

// PowerOn switches the machine on: it boots and keeps running, renewing its lease, until PowerOff.
// On a machine that is on it does nothing. A simulated BMC calls it, [Machine.PowerOff] and
// [Machine.Powered].
func (m *Machine) PowerOn() {
	m.power.Lock()
	defer m.power.Unlock()
	if m.Powered() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, booted := make(chan struct{}), make(chan struct{})
	m.mu.Lock()
	m.cancel, m.done, m.booted, m.report, m.err = cancel, done, booted, nil, nil
	m.mu.Unlock()
	go func() {
		defer close(done)
		m.live(ctx, booted)
	}()
}

// live is the time from power-on to power-off.
func (m *Machine) live(ctx context.Context, booted chan<- struct{}) {
	report, err := m.Boot(ctx)
	close(booted)
	switch {
	case err == nil && report.Running.Kind == PoweredOff:
		m.node.reset()
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.cancel != nil {
			m.cancel()
			m.cancel = nil
		}
		return
	case err == nil && report.Running.Kind == Linux:
		m.renew(ctx, report.Lease())
	default:
		<-ctx.Done() // it sits there
	}
	m.node.reset()
}

// renew keeps the system's lease for ever, as a DHCP client does (RFC 2131 section 4.4.5): from
// half of its time on it asks the server that gave it, from seven eighths on all servers, and at
// the end it gives the address up and begins again.
func (m *Machine) renew(ctx context.Context, lease *Lease) {
	b := &boot{Machine: m, fw: udhcpc, report: &Report{}, quiet: true}
	client := func() *dhcpClient {
		return &dhcpClient{boot: b, fw: &udhcpc, by: "linux", stage: StageSystem, hostname: m.cfg.Hostname}
	}
	for ctx.Err() == nil {
		began := time.Now()
		renewed := extend(ctx, client, lease, began)
		for renewed == nil && ctx.Err() == nil {
			_ = m.node.setAddr(netip.Addr{}) // no address cannot be taken
			if again, err := client().acquire(ctx); err == nil {
				renewed = again
				break
			}
			_ = sleep(ctx, restAfter) // the loop ends with ctx
		}
		lease = renewed
	}
}

const (
	minRetry  = 10 * time.Second // between two attempts to renew; clients wait 60 s (RFC 2131 section 4.4.5), of longer leases
	restAfter = 20 * time.Second // as udhcpc rests after a round without an answer
)

// extend returns the renewed lease; nil when it was refused, ended, or ctx did.
func extend(ctx context.Context, client func() *dhcpClient, lease *Lease, began time.Time) *Lease {
	end := began.Add(lease.Time)
	rebind := began.Add(lease.Time / 8 * 7)
	for pause := lease.Time / 2; sleep(ctx, max(pause, time.Second)) == nil && time.Now().Before(end); {
		limited, cancel := context.WithDeadline(ctx, end)
		renewed, err := client().renew(limited, lease, !time.Now().Before(rebind))
		cancel()
		if err == nil {
			return renewed
		}
		if errors.Is(err, errRefused) {
			return nil
		}
		pause = min(max(time.Until(end)/2, minRetry), max(time.Until(end), 0))
	}
	return nil
}

// PowerOff cuts the power: what the machine does ends at once, its connections break and its
// address is gone. It returns when all of that has happened. On a machine that is off it does
// nothing.
func (m *Machine) PowerOff() {
	m.power.Lock()
	defer m.power.Unlock()
	m.mu.Lock()
	cancel, done := m.cancel, m.done
	m.cancel = nil
	m.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	m.node.reset() // blocked reads end; a machine that Boot brought up loses its address
	if cancel != nil {
		<-done
	}
}

// Powered reports whether the machine was switched on by PowerOn and is still on.
func (m *Machine) Powered() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cancel != nil
}

// Wait waits until the boot that PowerOn began has ended in something, and returns what Boot would
// have returned.
func (m *Machine) Wait(ctx context.Context) (*Report, error) {
	m.mu.Lock()
	booted := m.booted
	m.mu.Unlock()
	if booted == nil {
		return nil, errNotBooted
	}
	select {
	case <-booted:
	default: // the end of a boot goes before that of ctx
		select {
		case <-booted:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.report, m.err
}
