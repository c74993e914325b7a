package daemon

import (
	"context"

	"github.com/gomaas/maas/cmd/maas/console"
	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/internal/doctor"
)

// lookAtHost makes the checks of `maas doctor --quick` for the page.
func (s *site) lookAtHost(ctx context.Context) (out []console.HostFinding) {
	facts := doctor.Gather(ctx, doctor.Config{
		Data: s.cfg.Data, Client: client.Client{Socket: SocketPath(s.cfg.Data)}, Interfaces: linkNames(s.links),
		Loaders: chooseLoaders(s.cfg.Boot.Loaders), HTTPPort: s.cfg.Rack.Port, DNSPort: s.cfg.DNS.Port, SyslogPort: s.cfg.Rack.SyslogPort, Quick: true,
	})
	for _, f := range doctor.Check(facts) {
		out = append(out, console.HostFinding{Check: f.Check, Level: string(f.Severity), Text: f.Text, Cure: f.Cure})
	}
	return out
}
