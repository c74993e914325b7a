package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/cmd/maas/internal/secretfile"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// rekeyCmd is `maas rekey`.
type rekeyCmd struct {
	stored
	destructive
	Lost bool `help:"The old key is lost: delete the secrets that it sealed."`
}

// regionGone is the silence after which a region counts as stopped.
const regionGone = time.Minute

// Run runs the command.
func (c rekeyCmd) Run(ctx context.Context, io stdio) error {
	return c.asOwner(func() error { return c.rekey(ctx, io) })
}

func (c rekeyCmd) rekey(ctx context.Context, io stdio) (err error) {
	db, url, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	unlock, err := daemon.LockData(c.Data) // a daemon would continue to seal with the old key
	if err != nil {
		return fmt.Errorf("rekey: %w", err)
	}
	defer unlock()
	if done, err := c.finish(ctx, db); err != nil || done {
		return err
	}
	old, err := c.oldKey(ctx, db)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(url, "sqlite://") { // a database file has one region only, which the lock shows as stopped
		if err := othersStopped(ctx, db); err != nil {
			return err
		}
	}
	question := "Seal the secrets of " + db.Name() + " with a new key?"
	if c.Lost {
		question = "Give up all power passwords, TSIG keys and certificates of racks in " + db.Name() + "?"
	}
	if err := c.confirm(io, question); err != nil {
		return err
	}
	return c.replace(ctx, io, db, old)
}

// replace creates a key, seals the secrets with it, and replaces the old key file.
func (c rekeyCmd) replace(ctx context.Context, io stdio, db *store.DB, old []byte) error {
	fresh := make([]byte, region.KeySize)
	rand.Read(fresh)
	if err := secretfile.Write(c.freshKeyFile(), fresh); err != nil {
		return fmt.Errorf("rekey: %w", err)
	}
	r, err := inventory.ReplaceKey(ctx, db, old, fresh)
	if err != nil { // the commit may have succeeded, as when the connection breaks after it
		return fmt.Errorf("rekey %s: %w; say maas rekey again, which sees whether the key in %s is in use", db.Name(), err, c.freshKeyFile())
	}
	c.tell(io, r)
	if err := c.place(); err != nil {
		return fmt.Errorf("rekey: the new key is in %s and not in its place; say maas rekey again: %w", c.freshKeyFile(), err)
	}
	return nil
}

// place renames the new key to its final name.
func (c rekeyCmd) place() error {
	return os.Rename(c.freshKeyFile(), c.keyFile())
}

func (c rekeyCmd) freshKeyFile() string { return c.keyFile() + ".new" }

// finish completes an earlier run that was interrupted between sealing and place.
func (c rekeyCmd) finish(ctx context.Context, db *store.DB) (done bool, err error) {
	key, err := readKey(c.freshKeyFile())
	if err != nil || key == nil {
		return false, err
	}
	if fits, err := inventory.FitsKey(ctx, db, key); err != nil || !fits {
		return false, err
	}
	return true, c.place()
}

// oldKey returns the key that sealed the secrets, or nil if it is lost or nothing is sealed yet.
func (c rekeyCmd) oldKey(ctx context.Context, db *store.DB) ([]byte, error) {
	key, err := readKey(c.keyFile())
	if err != nil {
		return nil, err
	}
	if marked, err := inventory.KeyMarked(ctx, db); err != nil || !marked {
		return key, err
	}
	fits, err := inventory.FitsKey(ctx, db, key)
	switch {
	case err != nil:
		return nil, err
	case fits && c.Lost:
		return nil, fmt.Errorf("%s is the right key; leave --lost away, and nothing is lost", c.keyFile())
	case fits || c.Lost:
		if !fits {
			key = nil
		}
		return key, nil
	}
	return nil, fmt.Errorf("%s is missing, or not the key of %s; copy that of another region or of a backup, or give up what is sealed with it with --lost", c.keyFile(), db.Name())
}

// othersStopped fails while another region of the site runs, since that region would continue to
// seal with the old key.
func othersStopped(ctx context.Context, db *store.DB) error {
	inv, err := inventory.Open(ctx, db, inventory.Config{})
	if err != nil {
		return err
	}
	regions, err := inv.Regions.List(ctx)
	if err != nil {
		return err
	}
	var live []string
	for _, r := range regions {
		if time.Since(r.LastSeen) < regionGone {
			live = append(live, r.Name)
		}
	}
	if live != nil {
		return fmt.Errorf("regions were alive within the last minute: %s; stop them, or copy the key from there", strings.Join(live, ", "))
	}
	return nil
}

// tell prints the next steps.
func (c rekeyCmd) tell(io stdio, r inventory.Rekeyed) {
	fmt.Fprintf(io.out, "%d secrets are sealed with the new key in %s; copy it to the site's other regions\n", r.Kept, c.keyFile())
	for _, lost := range []struct {
		names []string
		cure  string
	}{
		{r.LostPower, "machines without the secrets of their power drivers; set power_parameters again"},
		{r.LostTSIG, "TSIG keys with a secret that nobody knows; replace them"},
		{r.LostUserData, "have no user data any more; set it again"},
		{r.Signed, "signed domains with new keys; give their new DS records to the parents"},
	} {
		if len(lost.names) > 0 {
			fmt.Fprintf(io.out, "%s: %s\n", lost.cure, strings.Join(lost.names, " "))
		}
	}
	if r.LostCA {
		fmt.Fprintln(io.out, "racks on other hosts are not let in; make each a token with maas region token create, and join again with maas rack run --enrol-file FILE")
	}
}
