package rack

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/bootlog"
)

const (
	// bootLogTask is the task that takes what machines log.
	bootLogTask = "boot log"
	// A machine is heard for bootLogged after a step of its boot, and for bootSettled after its
	// system reported. What it logs later is everyday life.
	bootLogged  = time.Hour
	bootSettled = 10 * time.Minute
)

// newBootLog makes the server of what machines log while they boot.
func (r *Rack) newBootLog() (err error) {
	r.bootLog, err = bootlog.New(bootlog.Config{Identify: r.logging, Batches: r.logged})
	return err
}

// logging returns the machine that has an address by its lease or statically. A lease goes before a
// static address.
func (r *Rack) logging(addr netip.Addr) (net.HardwareAddr, bool) {
	if mac, leased := r.macOf(addr); leased {
		return mac, true
	}
	in, err := r.metadata.ByAddr(context.Background(), addr)
	return in.MAC, err == nil && len(in.MAC) > 0
}

// logged reports what a machine logged to the region, at the rate of boot requests.
func (r *Rack) logged(b bootlog.Batch) {
	if !r.bootFacts.take(b.Addr) {
		return
	}
	e := pxe.Event{Time: b.Time, Stage: pxe.StageLog, MAC: b.MAC, Addr: b.Addr, Proto: "udp", Size: -1, Log: b.Lines}
	r.facts.boot(e)
	r.boots.add(e)
}

// followLog hears what the machine of a boot event logs from now on.
func (r *Rack) followLog(e pxe.Event) {
	heard := bootLogged
	if e.Stage == pxe.StageRunning || e.Stage == pxe.StageConfigured {
		heard = bootSettled
	}
	r.bootLog.Follow(e.MAC, e.Time.Add(heard))
}

// bootLogTasks returns the tasks that take what machines log, one for each address. They open their
// sockets themselves: a port that another program has is a trouble of the rack's report, and keeps
// no machine from booting.
func (r *Rack) bootLogTasks(addrs ...netip.Addr) (tasks []task) {
	if r.cfg.Ports.Syslog == 0 {
		return nil
	}
	for _, addr := range addrs {
		at := netip.AddrPortFrom(addr, uint16(r.cfg.Ports.Syslog))
		if addr == wellKnownMetadata.Addr() {
			continue
		}
		tasks = append(tasks, newTask(bootLogTask, func(ctx context.Context) error {
			conn, err := listenPacket(ctx, at, bootLogTask)
			if err != nil {
				return err
			}
			return r.bootLog.Serve(ctx, conn)
		}))
	}
	return tasks
}
