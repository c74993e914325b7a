package daemon

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/secretfile"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
)

// Names of files in a rack's directory.
const (
	identityFile = "identity.pem" // key, certificate and CA
	joinedFile   = "joined.json"  // how it came in
	revokedFile  = "revoked"      // why it was shut out
)

// lookAgain is the interval at which a rack checks for changes of its addresses and its region.
const lookAgain = 5 * time.Second

// membership is a rack's membership in a site: its identity and the addresses of the regions.
type membership struct {
	log     *slog.Logger
	dir     string
	links   []rack.Link
	cfg     config.Config
	version string
	every   time.Duration // how often it is looked at; see lookAgain
	renewAt func(*enrol.Identity) time.Time

	peers *peers // nil in tests of it alone

	revoked revocations

	keeper *enrol.Keeper // has the identity

	searched chan struct{} // closed after the search for other DHCP servers; nil = none is made
	beside   bool          // another DHCP server was found; read after searched

	mu      sync.Mutex        // guards the fields below
	regions []register.Region // the best first
	home    string            // region of the current session; "" if none or unnamed
}

// joined records how the rack joined: enough to start again, and to recognize a used token.
type joined struct {
	Token   string   `json:"token"` // hash of the secret
	Regions []string `json:"regions"`
	// Identity is the identity in PEM until it has its own file. The token is used up when the
	// region answers, so the first write to the disk has all that the answer brought.
	Identity string `json:"identity,omitempty"`
}

// Enrolled reports whether the rack with this data directory, or the default one, has joined a
// site.
func Enrolled(data string) bool {
	_, err := os.Stat(filepath.Join(rackDir(cmp.Or(data, config.DefaultData)), identityFile))
	return err == nil
}

// openMembership loads it, or enrols with a token that was not used for it yet.
func openMembership(ctx context.Context, dir, name, token string, log *slog.Logger) (*membership, error) {
	m := &membership{dir: dir, every: lookAgain, renewAt: (*enrol.Identity).RenewAt, log: log.With("component", "membership")}
	var was joined
	text, err := os.ReadFile(filepath.Join(dir, joinedFile))
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, joinedFile), err)
	}
	if was.Identity != "" { // a power cut ended the enrolment
		if err := m.join(was); err != nil {
			return nil, err
		}
	}
	if token != "" {
		t, err := enrol.ParseToken(token)
		if err != nil {
			return nil, err
		}
		if enrol.Hash(t.Secret) != was.Token {
			return m, m.enrol(ctx, dir, name, t)
		}
		m.log.Info("rack already enrolled with that token")
	}
	if why, err := os.ReadFile(filepath.Join(dir, revokedFile)); err == nil {
		return nil, fmt.Errorf("this rack serves nothing: a region of its site has shut it out: %s", why)
	}
	m.regions = []register.Region{{Addresses: was.Regions}}
	if err := secretfile.Check(filepath.Join(dir, identityFile)); err != nil {
		return nil, err
	}
	if m.keeper, err = enrol.OpenKeeper(filepath.Join(dir, identityFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("this rack belongs to no site yet; run `maas region token create` on the region's host, and here: maas rack run --enrol-file FILE, with that token in the file")
	}
	if err == nil && name != "" && name != m.name() {
		err = fmt.Errorf("this rack is enrolled as %s; to call it %s, enrol it again with a new token", m.name(), name)
	}
	return m, err
}

// enrol joins a site with a token and stores the identity.
func (m *membership) enrol(ctx context.Context, dir, name string, t enrol.Token) (err error) {
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return err
		}
	}
	identity, addresses, err := enrol.Join(ctx, t, name)
	if err != nil {
		return err
	}
	m.regions = []register.Region{{Addresses: addresses}}
	text, err := identity.PEM()
	if err != nil {
		return err
	}
	how := joined{enrol.Hash(t.Secret), addresses, string(text)}
	if err := m.record(how); err != nil {
		return err
	}
	m.log.Info("enrolled", "rack", name, "regions", addresses)
	return m.join(how)
}

// join gives the identity of an enrolment its own file. A power cut at any point leaves what
// openMembership completes.
func (m *membership) join(how joined) error {
	identity, err := enrol.ParseIdentity([]byte(how.Identity))
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(m.dir, joinedFile), err)
	}
	if m.keeper, err = enrol.Keep(filepath.Join(m.dir, identityFile), identity); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(m.dir, revokedFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of the identity before
	}
	how.Identity = "" // or the next start would undo renewals
	return m.record(how)
}

func (m *membership) record(how joined) error {
	text, err := json.Marshal(how)
	if err != nil {
		return err
	}
	return secretfile.Write(filepath.Join(m.dir, joinedFile), text)
}

func (m *membership) name() string { return m.current().Name() }

func (m *membership) current() *enrol.Identity { return m.keeper.Identity() }

func (m *membership) tls() (*tls.Config, error) { return m.keeper.TLS() }

// allRegions are those that are known, the best first.
func (m *membership) allRegions() []register.Region {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.regions)
}

// addresses returns the addresses to try for a region. While it is unknown which region owns which
// address, the order rotates.
func (m *membership) addresses() []string {
	regions := m.allRegions()
	out := register.Flat(regions)
	if len(regions) == 1 && regions[0].Name == "" {
		rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out
}

// adopt stores the regions and the revoked certificates that a region sent. It ignores an empty
// list of regions, after which the rack could reach none.
func (m *membership) adopt(ctx context.Context, objects map[string][]byte) error {
	if err := m.revoked.adopt(ctx, objects); err != nil {
		return err
	}
	regions, err := register.Regions(objects)
	if err != nil || len(register.Flat(regions)) == 0 {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.regions = regions
	return nil
}

// settle says which region it has its session with.
func (m *membership) settle(region string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.home = region
}

// atHome returns the region of the current session.
func (m *membership) atHome() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.home
}

// dialer returns dial, and calls shut when a region says that this rack is revoked. The region has
// proven who it is by then. A rack that was shut out must not go on to give addresses, also when it
// is started again.
func (m *membership) dialer(dial func(context.Context) (rpc.Conn, error), shut func(error)) func(context.Context) (rpc.Conn, error) {
	return func(ctx context.Context) (rpc.Conn, error) {
		conn, err := dial(ctx)
		if errors.Is(err, rpc.ErrRevoked) {
			if werr := os.WriteFile(filepath.Join(m.dir, revokedFile), []byte(err.Error()), 0o600); werr != nil {
				m.log.Error("revocation not stored", "err", werr)
			}
			shut(fmt.Errorf("this rack ends its services: %w", err))
		}
		return conn, err
	}
}

// errRenewed ends a session so that the next one is made with the new certificate.
var errRenewed = errors.New("the certificate was renewed")

// errMoved ends a session so that the next one is made with the region that this rack was assigned
// to.
var errMoved = errors.New("the region of this rack is back")

// lookForOthers searches for other DHCP servers while the rack already serves what it knows. If one
// answers, DHCP stays off in networks that are new to the site; in known networks the region
// decides, as the other server may be the failover partner. The caller calls end before it returns.
func (m *membership) lookForOthers(ctx context.Context) (end func()) {
	if !searches(m.cfg.DHCP) {
		return func() {}
	}
	m.searched = make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(m.searched)
		m.beside = warnOfOthers(ctx, m.links, m.log)
	}()
	return func() { cancel(); <-m.searched }
}

// connected registers the rack in each session, again when its addresses change, renews its
// certificate in time, and leaves for the rack's own region when that is back.
func (m *membership) connected(ctx context.Context, conn rpc.Conn) error {
	var told register.Request
	home := wire.RegionOf(conn)
	m.settle(home)
	defer m.settle("")
	if m.searched != nil { // the registration says whether another server answers
		select {
		case <-m.searched:
		case <-ctx.Done():
			return nil
		}
	}
	for {
		if now := m.request(); !sameRequest(told, now) {
			if answer, err := rpc.Do[register.Answer](ctx, conn, register.Method, now); err != nil && ctx.Err() == nil {
				m.log.Error("registration refused by the region, the last state is served", "err", err)
			} else {
				told = now
				for _, w := range answer.Waiting {
					m.log.Warn("network not served until an administrator accepts it (maas rack accept)", "interface", w.Link, "subnet", w.Network)
				}
			}
		}
		if time.Now().After(m.renewAt(m.current())) {
			if err := m.keeper.Renew(ctx, conn); err == nil {
				return errRenewed
			} else if ctx.Err() == nil {
				m.log.Error("certificate not renewed, trying again", "expires", m.current().Cert.NotAfter, "err", err)
			}
		}
		if m.peers != nil && m.peers.better(home) {
			return errMoved
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(m.every, max(time.Second, time.Until(m.renewAt(m.current()))))):
		}
	}
}

// request describes this rack now. Interfaces without addresses are sent with their addresses at
// the start, since the sockets are still bound to those.
func (m *membership) request() register.Request {
	r := register.Request{
		Version: m.version, NoDHCP: m.cfg.DHCP.Disable || m.beside, Mode: dhcpMode(m.cfg.DHCP),
	}
	for _, link := range m.links {
		if now, err := rack.FindLink(link.Name); err == nil {
			link = now
		}
		r.Links = append(r.Links, register.Link{Name: link.Name, MAC: link.MAC.String(), Addrs: link.Prefixes, Serve: true})
	}
	r.First, r.Last, _ = m.cfg.DHCP.ParseRange() // checked with the configuration
	if g, err := netip.ParseAddr(m.cfg.DHCP.Gateway); err == nil {
		r.Gateways = append(r.Gateways, g)
		return r
	}
	for _, link := range r.Links {
		for _, p := range link.Addrs {
			if g := rack.Gateway(p.Masked()); g.IsValid() {
				r.Gateways = append(r.Gateways, g)
			}
		}
	}
	return r
}

// sameRequest compares requests by what is sent.
func sameRequest(a, b register.Request) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
