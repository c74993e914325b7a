package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"strconv"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Power holds a machine's power control.
type Power struct {
	Type   string            // name of a power driver, such as "ipmi"; "" = not known
	Params map[string]string // the driver's settings that are not secret
	// Secrets are the driver's secret settings. Reads leave them nil; see Inventory.PowerParams. In
	// a write, nil keeps what is stored.
	Secrets Secrets
	State   string // "on", "off", "unknown" or "error", as last seen; "" = never asked
}

// NewPower checks the settings of a kind of power control, fills in its defaults, and separates
// secret settings from the others. Secrets are never nil, so that a write replaces all that are
// stored. Errors come from [power.Kind.Check].
func NewPower(kind power.Kind, params power.Params) (Power, error) {
	full, err := kind.Check(params)
	if err != nil {
		return Power{}, err
	}
	p := Power{Type: kind.Name, Params: kind.Public(full), Secrets: Secrets{}}
	for name, value := range full {
		if _, public := p.Params[name]; !public {
			p.Secrets[name] = value
		}
	}
	return p, nil
}

// Secrets are settings that must not be shown. However it is printed, logged or encoded, only the
// names appear.
type Secrets map[string]string

func (s Secrets) hidden() map[string]string {
	out := make(map[string]string, len(s))
	for k := range s {
		out[k] = "***"
	}
	return out
}

// String shows the names only.
func (s Secrets) String() string { return fmt.Sprint(s.hidden()) }

// GoString shows the names only.
func (s Secrets) GoString() string { return s.String() }

// Format shows the names only, whatever the verb.
func (s Secrets) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue shows the names only.
func (s Secrets) LogValue() slog.Value { return slog.AnyValue(s.hidden()) }

// MarshalJSON shows the names only.
func (s Secrets) MarshalJSON() ([]byte, error) { return json.Marshal(s.hidden()) }

func (p Power) check(kind, name string) error {
	for k := range p.Secrets {
		if _, both := p.Params[k]; both {
			return invalid(kind, name, k, "is given both as a secret and in the open")
		}
	}
	return nil
}

func (inv *Inventory) putSecrets(ctx context.Context, tx *store.Tx, node int64, s Secrets) error {
	text, err := json.Marshal(map[string]string(s))
	if err != nil {
		return err
	}
	if r := recorderOf(ctx); r.wants(secretTable, node) {
		// Secrets that do not open are replaced, which must not fail for the sake of the record.
		old, _ := inv.getSecrets(ctx, tx, node)
		before := make(row)
		maps.Copy(before, old)
		r.add(secretTable, kinds.Machine, node, before, row(s))
	}
	// The ID is part of what is sealed: a sealed secret that is copied to another row does not
	// open.
	const query = "INSERT INTO node_secret (node_id, sealed) VALUES (?, ?) ON CONFLICT (node_id) DO UPDATE SET sealed = excluded.sealed"
	_, err = tx.Exec(ctx, query, node, inv.seal.Close(text, strconv.FormatInt(node, 10)))
	return err
}

func (inv *Inventory) getSecrets(ctx context.Context, tx *store.Tx, node int64) (Secrets, error) {
	var sealed []byte
	err := tx.Get(ctx, "SELECT sealed FROM node_secret WHERE node_id = ?", []any{node}, &sealed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := inv.seal.Open(sealed, strconv.FormatInt(node, 10))
	if err != nil {
		return nil, err
	}
	var s map[string]string
	err = json.Unmarshal(text, &s)
	return s, err
}

// PowerParams returns all settings of a machine's power driver, including secrets. Only the driver
// may get them.
func (inv *Inventory) PowerParams(ctx context.Context, machine int64) (params map[string]string, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		m, err := machineBy(ctx, tx, strconv.FormatInt(machine, 10), "n.id = ?", machine)
		if err != nil {
			return err
		}
		secrets, err := inv.getSecrets(ctx, tx, machine)
		if err != nil {
			return err
		}
		params = make(map[string]string, len(m.Power.Params)+len(secrets))
		maps.Copy(params, m.Power.Params)
		maps.Copy(params, secrets)
		return nil
	})
	return params, err
}

// SetPowerState records the power state that was seen. It is no change in the sense of
// Machines.Update: it makes no version stale.
func (inv *Inventory) SetPowerState(ctx context.Context, machine int64, state string) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		m, err := machineBy(ctx, tx, strconv.FormatInt(machine, 10), "n.id = ?", machine)
		// The monitor asks by the minute, and most answers are the last one again.
		if err != nil || m.Power.State == state {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE node SET power_state = ? WHERE id = ?", state, machine); err != nil {
			return err
		}
		tx.Changed(kinds.Machine, machine, store.Updated)
		return nil
	})
}
