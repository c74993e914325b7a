package loaders

import (
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
)

// Trials chooses the loaders of machines by what became of earlier ones: a chain that was fetched
// whole, and after which the firmware began again, is taken for refused, and the machine is handed
// another one the next time. It remembers the 16,384 machines seen most recently. The zero value
// has no chains, so that every machine is handed the loader of its method. Its methods may be
// called concurrently and do not block on files.
type Trials struct {
	chains atomic.Pointer[[]Chain]

	mu    sync.Mutex
	known map[[6]byte]trial
	older map[[6]byte]trial // the generation before; dropped when known is full
}

// maxTrials bounds the machines, as pxe.Clients does.
const maxTrials = 16384

// trial is the state of one machine.
type trial struct {
	started string   // the chain that led to a configuration last
	refused []string // chains that were fetched, and nothing after them
	handed  string   // the chain
	fetched bool     // whole
}

// SetChains sets the chains to choose from, see [Chains].
func (t *Trials) SetChains(all []Chain) { t.chains.Store(&all) }

// Chains returns the chains to choose from.
func (t *Trials) Chains() []Chain {
	if all := t.chains.Load(); all != nil {
		return *all
	}
	return nil
}

// Peek returns what Next would return, and changes nothing.
func (t *Trials) Peek(c firmware.Client, o firmware.Offer, want pxe.LoaderChoice) string {
	name, _ := t.next(c, o, want)
	return name
}

// Next returns the path of the loader for a client that is offered the loader of a method, and
// remembers it as handed. It is called for each answer of DHCP.
func (t *Trials) Next(c firmware.Client, o firmware.Offer, want pxe.LoaderChoice) string {
	name, now := t.next(c, o, want)
	if len(c.MAC) == 6 && len(t.Chains()) > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.keep([6]byte(c.MAC), now)
	}
	return name
}

func (t *Trials) next(c firmware.Client, o firmware.Offer, want pxe.LoaderChoice) (string, trial) {
	chains := t.Chains()
	if o.Method.Loader == "" || o.Method.UBoot || len(chains) == 0 { // a chain begins with shim, which U-Boot cannot start
		return o.Method.Loader, trial{}
	}
	now := t.of(c.MAC)
	if now.started != "" {
		want.Started = now.started
	}
	if now.fetched { // and the firmware begins again
		now.refused = append(slices.Clip(now.refused), now.handed)
		now.fetched = false
	}
	name := Choose(chains, o.Method, o.Arch, want, now.refused)
	if slices.Contains(now.refused, name) { // all are: begin again with the first
		now.refused = nil
		name = Choose(chains, o.Method, o.Arch, want, nil)
	}
	now.handed = name
	return name, now
}

func (t *Trials) of(mac net.HardwareAddr) trial {
	if len(mac) != 6 {
		return trial{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if now, ok := t.known[[6]byte(mac)]; ok {
		return now
	}
	return t.older[[6]byte(mac)]
}

// keep is called with mu held.
func (t *Trials) keep(mac [6]byte, now trial) {
	if t.known == nil || len(t.known) >= maxTrials/2 {
		t.known, t.older = make(map[[6]byte]trial), t.known
	}
	t.known[mac] = now
}

// Handed returns the chain that a machine was handed last; "" = none is known. Shim asks some
// firmware in vain for its own path and then loads from the top, see pxe.Config.Beside.
func (t *Trials) Handed(mac net.HardwareAddr) string { return t.of(mac).handed }

// Saw learns from an event of a boot whether the chain that its machine was handed has started.
func (t *Trials) Saw(e pxe.Event) {
	if len(e.MAC) != 6 || e.Claimed || e.Probe {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now, ok := t.known[[6]byte(e.MAC)]
	if !ok || now.handed == "" {
		return
	}
	switch own := strings.EqualFold(strings.TrimPrefix(path.Clean("/"+e.Path), "/"), now.handed); {
	case e.Stage == pxe.StageLoader && own:
		now.fetched = e.Err == "" && !e.Absent && e.Bytes > 0 && e.Bytes >= e.Size
	case e.Stage == pxe.StageConfig || e.Stage == pxe.StageKernel || e.Stage == pxe.StageOffer && pxe.ByLoader(e.Method):
		now.fetched = false
		now.started = now.handed
		now.refused = slices.DeleteFunc(slices.Clone(now.refused), func(p string) bool { return p == now.handed })
	default:
		return
	}
	t.keep([6]byte(e.MAC), now)
}

// Signed describes the signatures of a loader by its path, for Event.Signed: the authorities of the
// chain that it begins, or of the loader that a shim starts.
func (t *Trials) Signed(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for _, c := range t.Chains() {
		switch {
		case strings.EqualFold(c.Path, name):
			return c.Program.signed()
		case c.Next != "" && strings.EqualFold(c.Next, name):
			return c.NextProgram.signed()
		}
	}
	return ""
}

func (p Program) signed() string {
	if p.Size == 0 {
		return ""
	}
	if len(p.Signatures) == 0 {
		return "not signed"
	}
	var names []string
	for _, ca := range p.CAs() {
		names = append(names, string(ca))
	}
	return "signed by " + strings.Join(names, " and ")
}
