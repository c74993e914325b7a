package region

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
)

const (
	// rackCertLife is the default of Config.RackCertLife. A rack that is away for longer needs a
	// new token.
	rackCertLife = 90 * 24 * time.Hour
	// A region registers itself at intervals of beatEvery, and is listed until forgetRegion after
	// the last time. A day is long enough for a repair, after which its racks still know it.
	beatEvery    = 30 * time.Second
	forgetRegion = 24 * time.Hour
	// lookAgain is the pause after a failure to read revocations.
	lookAgain = time.Second
)

// rackService admits racks of other processes, by token and certificate.
type rackService struct {
	region    *Region
	ca        *enrol.CA
	authority *enrol.Authority
	server    *wire.Server
	name      string   // of this region
	addresses []string // that racks dial
	certLife  time.Duration
}

// newRackService reads the site's certificate authority; the first region of the site makes it.
func newRackService(ctx context.Context, r *Region, cfg Config) (*rackService, error) {
	cert, key, err := r.inv.Enrolment.CA(ctx, func() (cert, key []byte, err error) {
		ca, err := enrol.NewCA()
		if err != nil {
			return nil, nil, err
		}
		return ca.Marshal()
	})
	if err != nil {
		return nil, err
	}
	s := &rackService{region: r, name: r.name, addresses: cfg.Advertise, certLife: cfg.RackCertLife}
	if s.certLife == 0 {
		s.certLife = rackCertLife
	}
	if s.ca, err = enrol.ParseCA(cert, key); err != nil {
		return nil, err
	}
	if s.authority, err = enrol.NewAuthority(enrol.AuthorityConfig{CA: s.ca, Book: book{r}, Regions: s.allAddresses, Life: s.certLife}); err != nil {
		return nil, err
	}
	server := s.authority.ServerConfig(r.rpc)
	server.Name, server.Log = r.name, r.log.With("component", "rpc")
	s.server, err = wire.NewServer(server)
	return s, err
}

// offer adds the methods for racks.
func (s *rackService) offer(m *rpc.Methods) {
	s.authority.Offer(m)
	rpc.Offer(m, register.Method, s.register)
}

// book is the record of tokens and certificates in the inventory. It implements [enrol.Book].
type book struct{ region *Region }

// RackOf is asked at each connection: a certificate that is valid by its signature may have been
// revoked.
func (b book) RackOf(ctx context.Context, cert *x509.Certificate) (string, error) {
	name, err := b.region.inv.Enrolment.RackOf(ctx, recorded(cert))
	if refused := (*inventory.RefusedRackError)(nil); errors.As(err, &refused) && refused.Revoked {
		err = fmt.Errorf("%w (%w)", err, rpc.ErrRevoked) // by which the rack knows that it has to end
	}
	return name, err
}

func (b book) Examine(ctx context.Context, hash, rack string) (int64, error) {
	// The rack of this process has no certificate in the database that would hold its name.
	if rack != "" && rack == b.region.localRack {
		return 0, &inventory.RefusedRackError{Rack: rack, Why: "that is the name of the rack in the region's own process",
			Cure: "choose another with --name"}
	}
	return b.region.inv.Enrolment.Examine(ctx, hash, rack)
}

// Admit checks the token in the transaction that uses it up, since any host may ask.
func (b book) Admit(ctx context.Context, hash string, cert *x509.Certificate) error {
	c := recorded(cert)
	err := b.region.inv.Enrolment.Admit(ctx, hash, c)
	if err == nil {
		b.region.log.Info("rack enrolled", "rack", c.Rack)
	}
	return err
}

func (b book) Renewed(ctx context.Context, rack string, shown, cert *x509.Certificate) error {
	held := recorded(shown)
	held.Rack = rack // which may have been renamed since
	err := b.region.inv.Enrolment.Renew(ctx, held, recorded(cert))
	if err == nil {
		b.region.log.Info("certificate renewed", "rack", rack)
	}
	return err
}

// recorded returns a certificate as the inventory keeps it.
func recorded(cert *x509.Certificate) inventory.RackCertificate {
	return inventory.RackCertificate{
		Serial: enrol.Serial(cert), Rack: cert.Subject.CommonName, Generation: enrol.Generation(cert), Expires: cert.NotAfter,
	}
}

// register records a rack's report of its links. The name comes from its certificate, not from the
// report.
func (s *rackService) register(ctx context.Context, in register.Request) (register.Answer, error) {
	reg := register.Registration(rpc.CallingRack(ctx), in)
	proposals, err := s.region.inv.RegisterLinks(ctx, reg)
	if err != nil {
		s.region.log.Warn("registration refused", "rack", reg.Rack, "err", err)
		return register.Answer{}, err
	}
	var answer register.Answer
	for _, p := range proposals {
		answer.Waiting = append(answer.Waiting, register.Waiting{Link: p.Link, Network: p.Network})
	}
	return answer, nil
}

// NewToken makes a token that admits one rack, and records it. It needs Config.Advertise.
func (r *Region) NewToken(ctx context.Context, t inventory.RackToken) (enrol.Token, error) {
	if r.racks == nil {
		return enrol.Token{}, errNoRacks
	}
	_, token, err := r.racks.newToken(ctx, t)
	return token, err
}

// newToken makes a token and records its hash, with what it gives to the rack.
func (s *rackService) newToken(ctx context.Context, t inventory.RackToken) (inventory.RackToken, enrol.Token, error) {
	token, err := s.authority.NewToken(ctx, t.Expires)
	if err != nil {
		return t, enrol.Token{}, err
	}
	t.Hash = enrol.Hash(token.Secret)
	t, err = s.region.inv.RackTokens.Create(ctx, t)
	token.Expires = t.Expires
	return t, token, err
}

// allAddresses returns the addresses of all regions, with this region's first.
func (s *rackService) allAddresses(ctx context.Context) ([]string, error) {
	all, err := s.allRegions(ctx)
	own := []register.Region{{Name: s.name, Addresses: s.addresses}}
	return register.Flat(append(own, all...)), err
}

// allRegions returns the regions of the site by name. This region is in it even before its first
// registration.
func (s *rackService) allRegions(ctx context.Context) ([]register.Region, error) {
	all, err := s.region.inv.Regions.List(ctx)
	out := []register.Region{{Name: s.name, Addresses: s.addresses}}
	for _, r := range all {
		if r.Name != s.name {
			out = append(out, register.Region{Name: r.Name, Addresses: r.Addresses})
		}
	}
	slices.SortFunc(out, func(a, b register.Region) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// run registers this region at intervals and ends the sessions of revoked racks, until ctx ends. A
// rack may be revoked at any region.
func (s *rackService) run(ctx context.Context) error {
	// The deferred calls run in reverse order: cancel ends the goroutine, then its end is awaited.
	watching := make(chan struct{})
	defer func() { <-watching }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(watching)
		s.watchRevocations(ctx)
	}()
	for {
		err := s.region.inv.Regions.Register(ctx, inventory.Region{Name: s.name, Addresses: s.addresses}, forgetRegion)
		s.region.try(ctx, "say that this region lives", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(beatEvery):
		}
	}
}

// watchRevocations ends sessions of revoked racks until ctx ends. After a failure it reads all
// certificates again, so that no revocation is missed.
func (s *rackService) watchRevocations(ctx context.Context) {
	for {
		s.region.try(ctx, "look for revoked racks", s.cutAsRevoked(ctx))
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookAgain):
		}
	}
}

// cutAsRevoked ends the sessions of racks that are revoked, then of racks that are revoked later.
// It returns the first error, such as a lost connection to the database.
func (s *rackService) cutAsRevoked(ctx context.Context) error {
	// read first: a revocation during the look below is then seen twice, never missed
	from, err := s.region.inv.Revision(ctx)
	if err != nil {
		return err
	}
	// Revocations before from are in no change: after a compaction the feed begins later.
	if err := s.cutRevoked(ctx); err != nil {
		return err
	}
	for change, err := range s.region.inv.Watch(ctx, from) {
		if err == nil && change.Kind == kinds.Certificate {
			err = s.cutRevoked(ctx)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// cutRevoked closes the connections of revoked certificates. It does not ask the rack to leave: a
// hostile one would not.
func (s *rackService) cutRevoked(ctx context.Context) error {
	// A session with a superseded certificate ends too: the host that renewed it has another one,
	// so that a copy has to show its certificate again, and is found out.
	revoked, err := s.region.inv.Enrolment.Superseded(ctx)
	if err != nil {
		return err
	}
	for _, rack := range s.server.Disconnect(func(cert *x509.Certificate) bool { return revoked[enrol.Serial(cert)] }) {
		s.region.log.Info("rack revoked", "rack", rack)
	}
	return nil
}
