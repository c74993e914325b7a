package enrol

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/wire"
)

// Book is an [Authority]'s record of tokens, by the [Hash] of their secrets, and of certificates.
// Its methods are called concurrently and may block. Their errors are sent to the rack; those that
// wrap rpc.ErrRevoked make it end its services.
type Book interface {
	// Examine returns the generation of the next certificate of a rack, if the token with that hash
	// is good for it. It is asked before anything is signed, and changes nothing.
	Examine(ctx context.Context, hash, rack string) (generation int64, err error)
	// Admit uses up the token and records the certificate. It checks both again: of two calls with
	// one token, or for one name, one succeeds.
	Admit(ctx context.Context, hash string, cert *x509.Certificate) error
	// Renewed records a further certificate of the rack that shows another one, if that is good.
	Renewed(ctx context.Context, rack string, shown, cert *x509.Certificate) error
	// RackOf returns the name of the rack that shows a certificate, if that is good.
	RackOf(ctx context.Context, shown *x509.Certificate) (rack string, err error)
}

// AuthorityConfig configures an [Authority].
type AuthorityConfig struct {
	// CA signs. Required.
	CA *CA
	// Book keeps the record. Required; [MemBook] is one in memory.
	Book Book
	// Regions returns the addresses of all regions, as host:port, which tokens and answers name.
	// Required.
	Regions func(ctx context.Context) ([]string, error)
	// Life is the life of a rack's certificate. A rack that is away for longer needs a new token.
	// Zero means 90 days.
	Life time.Duration
}

// rackLife is the default of AuthorityConfig.Life.
const rackLife = 90 * 24 * time.Hour

// An Authority decides in a region which racks are members of the site. Its methods may be called
// concurrently.
type Authority struct{ cfg AuthorityConfig }

// NewAuthority checks the configuration. It starts nothing.
func NewAuthority(cfg AuthorityConfig) (*Authority, error) {
	if cfg.CA == nil || cfg.Book == nil || cfg.Regions == nil {
		return nil, errors.New("enrol: an authority needs CA, Book and Regions")
	}
	if cfg.Life == 0 {
		cfg.Life = rackLife
	}
	return &Authority{cfg}, nil
}

// NewToken makes a token that admits one rack before a time. It is good once the book has the
// [Hash] of its secret, with which a reader of the book cannot enrol a rack.
func (a *Authority) NewToken(ctx context.Context, expires time.Time) (Token, error) {
	regions, err := a.cfg.Regions(ctx)
	return Token{Regions: regions, Fingerprint: a.cfg.CA.Fingerprint(), Secret: rand.Text(), Expires: expires}, err
}

// ServerConfig returns a configuration of [wire.NewServer] that lets in the members of the site,
// and by token those that become members.
func (a *Authority) ServerConfig(region *rpc.Region) wire.ServerConfig {
	return wire.ServerConfig{Region: region, TLS: a.cfg.CA.RegionTLS(), Authorize: a.cfg.Book.RackOf, Enrol: a.Enrol}
}

// Offer adds the method by which racks renew their certificates.
func (a *Authority) Offer(m *rpc.Methods) { rpc.Offer(m, RenewMethod, a.Renew) }

// Enrol answers the question of a rack that has a token and no certificate: Enrol of
// [wire.ServerConfig].
func (a *Authority) Enrol(ctx context.Context, question []byte) ([]byte, error) {
	var in Request
	if err := json.Unmarshal(question, &in); err != nil {
		return nil, errors.New("malformed request") // the cause would repeat bytes of a host that is not known yet
	}
	rack, hash := strings.TrimSpace(in.Rack), Hash(in.Secret)
	// A stranger without a token costs one read: no signature, and nothing is written.
	generation, err := a.cfg.Book.Examine(ctx, hash, rack)
	if err != nil {
		return nil, err
	}
	answer, err := a.sign(in.CSR, rack, generation, func(cert *x509.Certificate) error { return a.cfg.Book.Admit(ctx, hash, cert) })
	if err != nil {
		return nil, err
	}
	if answer.Regions, err = a.cfg.Regions(ctx); err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// Renew signs a further certificate for the calling rack. The last one stays good until it expires,
// since the rack may fail to store its successor.
func (a *Authority) Renew(ctx context.Context, in Request) (Answer, error) {
	rack, shown := rpc.CallingRack(ctx), wire.CallingCertificate(ctx)
	// A rack over the loopback is known by its name alone and has no connection to secure.
	if shown == nil {
		return Answer{}, fmt.Errorf("rack %s has no certificate to renew; one in the region's process needs none", rack)
	}
	return a.sign(in.CSR, rack, Generation(shown)+1, func(cert *x509.Certificate) error {
		return a.cfg.Book.Renewed(ctx, rack, shown, cert)
	})
}

// sign makes a certificate and has it recorded before it is handed out: an unrecorded certificate
// could not be revoked.
func (a *Authority) sign(csr []byte, rack string, generation int64, record func(*x509.Certificate) error) (Answer, error) {
	cert, err := a.cfg.CA.SignRack(csr, rack, generation, a.cfg.Life)
	if err != nil {
		return Answer{}, err
	}
	return Answer{Cert: cert.Raw}, record(cert)
}
