package bmcserve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/power"
)

// Power acts on machines. Do may block, and is called concurrently, but once at a time for a
// machine. Of the actions, it gets all but ActionSensors.
type Power interface {
	Do(ctx context.Context, machine string, action power.Action, opts power.Options) (power.Result, error)
}

// A MediaPower is a [Power] that knows which machines have virtual media; it then does
// ActionInsert, ActionEject and ActionMedia with those.
type MediaPower interface {
	Power
	// HasMedia reports whether the power type of a machine has virtual media.
	HasMedia(machine string) bool
}

// Local returns the Power of a controller in this process. The names of the targets are the
// machines.
func Local(c *power.Controller, targets ...power.Target) MediaPower {
	l := local{controller: c, targets: make(map[string]power.Target, len(targets))}
	for _, t := range targets {
		l.targets[t.Name] = t
	}
	return l
}

type local struct {
	controller *power.Controller
	targets    map[string]power.Target
}

func (l local) Do(ctx context.Context, machine string, action power.Action, opts power.Options) (power.Result, error) {
	t, ok := l.targets[machine]
	if !ok {
		return power.Result{State: power.Unknown}, power.Errorf(power.Settings, string(action), "there is no machine %q", machine)
	}
	return l.controller.Do(ctx, t, action, opts)
}

// HasMedia implements MediaPower.
func (l local) HasMedia(machine string) bool {
	return l.controller.Registry()[l.targets[machine].Kind].Media
}

// An Account may act on machines.
type Account struct {
	User     string
	Password string
	// Machines are those that it may act on. Nil means all.
	Machines []string
	// ReadOnly accounts may ask for the state, and change nothing.
	ReadOnly bool
}

func (a *Account) sees(machine string) bool {
	return a.Machines == nil || slices.Contains(a.Machines, machine)
}

// An Entry is one request that changes something, or that was refused.
type Entry struct {
	Time     time.Time
	Protocol string // redfish, ipmi or webhook
	Account  string // empty when none was proved
	Source   string // address of the client
	Machine  string
	Action   string // such as "on", "boot network" or "log in"
	Err      error  // nil on success
}

// Config holds the settings of a [Server].
type Config struct {
	// Power acts on the machines. Required.
	Power Power
	// Machines are the names of the machines: letters, digits, dots, hyphens and underscores.
	Machines []string
	// Accounts may use the server. Required.
	Accounts []Account
	// Fresh is the time for which a state that was read is given out again. Zero means 1 s.
	Fresh time.Duration
	// Soft is the time that a system has to shut down by itself before its power is taken. Zero
	// means 2 minutes.
	Soft time.Duration
	// Timeout bounds one action, which goes on without the client. Zero means 10 minutes.
	Timeout time.Duration
	// Requests is the rate of one client: all IPv4 addresses are one each, and all addresses of an
	// IPv6 /64 together. Zero means 1,000 at once and 1,000 a second.
	Requests bounds.Rate
	// Guesses is the rate at which one client may try credentials that are not known to be right.
	// Zero means 10 at once and one in 6 s.
	Guesses bounds.Rate
	// Audit receives an entry for each change and each refusal. It may be called concurrently. If
	// nil, entries are discarded.
	Audit func(Entry)
	// Log receives what goes wrong in the server itself. If nil, that is discarded.
	Log *slog.Logger
}

// A Server has machines behind it. Its methods may be called concurrently.
type Server struct {
	cfg      Config
	machines map[string]*machine
	gate     *gate

	ctx     context.Context // of actions; ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	sessions map[string]*session // by token; guarded by mu
}

// New checks the configuration. It opens nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Power == nil {
		return nil, errors.New("bmcserve: a server needs a Power, which acts on the machines")
	}
	if err := check(cfg); err != nil {
		return nil, fmt.Errorf("bmcserve: %w", err)
	}
	cfg.Fresh, cfg.Soft = cmp.Or(cfg.Fresh, time.Second), cmp.Or(cfg.Soft, 2*time.Minute)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Minute)
	cfg.Requests = cmp.Or(cfg.Requests, bounds.Rate{Burst: 1000, Every: time.Millisecond})
	cfg.Guesses = cmp.Or(cfg.Guesses, bounds.Rate{Burst: 10, Every: 6 * time.Second})
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, machines: map[string]*machine{}, gate: newGate(cfg.Requests, cfg.Guesses), sessions: map[string]*session{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, name := range cfg.Machines {
		s.machines[name] = &machine{name: name, state: power.Unknown, boot: power.Default, always: power.Default, given: power.Default}
	}
	return s, nil
}

func check(cfg Config) error {
	if len(cfg.Accounts) == 0 {
		return errors.New("there is no account, so no client could log in; add one with a user and a password")
	}
	for i, name := range cfg.Machines {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || strings.Trim(name, ".") == "" {
			return fmt.Errorf("machine %q: a name has letters, digits, dots, hyphens and underscores", name)
		}
		if slices.Contains(cfg.Machines[:i], name) {
			return fmt.Errorf("machine %s: there are two of that name", name)
		}
	}
	seen := map[string]bool{}
	for _, a := range cfg.Accounts {
		switch {
		case a.User == "" || a.Password == "":
			return fmt.Errorf("account %q: it needs a user and a password", a.User)
		case strings.ContainsAny(a.User, ":@\x00"):
			return fmt.Errorf("account %q: a user has neither : nor @", a.User)
		case seen[a.User]:
			return fmt.Errorf("account %s: there are two of that user", a.User)
		}
		seen[a.User] = true
		for _, name := range a.Machines {
			if !slices.Contains(cfg.Machines, name) {
				return fmt.Errorf("account %s: there is no machine %q", a.User, name)
			}
		}
	}
	return nil
}

// Close ends what is under way and waits for it.
func (s *Server) Close() {
	s.cancel()
	s.running.Wait()
}

// audit reports an entry.
func (s *Server) audit(e Entry) {
	if s.cfg.Audit != nil {
		e.Time = time.Now()
		s.cfg.Audit(e)
	}
}

// A client is an account that has proved itself, with what it sees.
type client struct {
	account  *Account
	only     string // the machine of the user name; "" = all of the account
	protocol string
	source   string
}

// find returns the account of a user name, which may have a machine behind an @.
func (s *Server) find(user string) (client, bool) {
	name, only, _ := strings.Cut(user, "@")
	for i := range s.cfg.Accounts {
		a := &s.cfg.Accounts[i]
		if a.User == name && (only == "" || s.machines[only] != nil && a.sees(only)) {
			return client{account: a, only: only}, true
		}
	}
	return client{}, false
}

// sees reports whether a machine exists for the client.
func (c client) sees(machine string) bool {
	return (c.only == "" || c.only == machine) && c.account.sees(machine)
}

// visible returns the machines that the client sees, in the configured order.
func (s *Server) visible(c client) []string {
	return slices.DeleteFunc(slices.Clone(s.cfg.Machines), func(name string) bool { return !c.sees(name) })
}
