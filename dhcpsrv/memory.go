package dhcpsrv

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"
)

// rememberEvery is how often a server with partners notes that it is alive.
const rememberEvery = 5 * time.Second

// PartnerStore is what a [LeaseStore] may have besides, so that a server with partners knows after a restart how long it was
// away. Without it, it waits after each start until it has its partner's leases, or until the last of them must be over.
type PartnerStore interface {
	// LoadPartners returns what was saved last. The error is fs.ErrNotExist when nothing was.
	LoadPartners(ctx context.Context) ([]byte, error)
	// SavePartners replaces it, whole or not at all. It need not survive a power failure: older is safe. Never called
	// concurrently.
	SavePartners(ctx context.Context, data []byte) error
}

// memory is what a server remembers of itself and its partners.
type memory struct {
	Alive    time.Time            `json:"alive"`
	Contacts map[string]time.Time `json:"contacts"` // when each was last heard
}

func (s *Server) loadMemory(ctx context.Context) {
	store, ok := s.cfg.Store.(PartnerStore)
	if !ok {
		return
	}
	data, err := store.LoadPartners(ctx)
	if err == nil {
		err = json.Unmarshal(data, &s.memory)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.memory = memory{} // as if it had never been there: slower, not wrong
		s.log.Warn("it is not known how long this server was away", "err", err)
	}
}

// remember notes that the server is alive, when it is time to.
func (s *Server) remember(ctx context.Context) {
	store, ok := s.cfg.Store.(PartnerStore)
	if !ok {
		return
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	data := s.memorize(time.Now())
	if data == nil {
		return
	}
	if err := store.SavePartners(ctx, data); err != nil {
		s.log.Warn("cannot note that this server is alive; after a restart it will wait for its partner", "err", err)
	}
}

// memorize returns what to save now, or nil.
func (s *Server) memorize(now time.Time) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.partners) == 0 || now.Sub(s.memory.Alive) < rememberEvery && now.After(s.memory.Alive) && s.saved {
		return nil
	}
	s.saved = true
	s.memory = memory{Alive: now, Contacts: make(map[string]time.Time, len(s.partners))}
	for name, p := range s.partners {
		switch {
		case p.link != nil && p.synced:
			s.memory.Contacts[name] = now
		case p.met:
			s.memory.Contacts[name] = time.Unix(0, p.contact)
		}
	}
	data, err := json.Marshal(s.memory)
	if err != nil {
		return nil
	}
	return data
}
