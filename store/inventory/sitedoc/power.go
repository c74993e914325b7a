package sitedoc

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
)

// Hidden replaces a secret in changes.
const Hidden = "***"

// powered is a machine with the secrets of its power control that a document changes: [Hidden] for
// those that are set, and "" for those that are removed.
type powered struct {
	inventory.Machine
	secrets map[string]string
}

func (a *applier) listMachines(ctx context.Context) ([]powered, error) {
	all, err := a.inv.Machines.List(ctx)
	out := make([]powered, 0, len(all))
	for _, m := range all {
		out = append(out, powered{Machine: m})
	}
	return out, err
}

func powerDoc(m powered) *Power {
	if m.Power.Type == "" {
		return nil
	}
	out := &Power{Type: m.Power.Type, Parameters: Parameters{}}
	maps.Copy(out.Parameters, m.Power.Params)
	maps.Copy(out.Parameters, m.secrets)
	return out
}

// fillPower sets the power control of a machine. It writes only what changes: secrets cannot be
// compared by a document that never shows them.
func (a *applier) fillPower(d *Power, m *powered) error {
	switch {
	case d == nil, d.Type == m.Power.Type && maps.Equal(d.Parameters, m.Power.Params):
		return nil // also when its kind is not known any longer, or has other parameters now
	case d.Type == "" && len(d.Parameters) > 0:
		return errors.New("power: parameters need a type, such as ipmi")
	case d.Type == "":
		m.Power = inventory.Power{Secrets: inventory.Secrets{}, State: m.Power.State}
		return nil
	}
	k, err := a.opts.Kinds.Kind(d.Type)
	if err != nil {
		return err
	}
	stored, err := a.storedSecrets(k, m)
	if err != nil {
		return err
	}
	// Stored secrets fill in those that are left out, as an exported document has none.
	params := power.Params(maps.Clone(stored))
	maps.Copy(params, d.Parameters)
	if err := notHidden(k, params); err != nil {
		return err
	}
	p, err := inventory.NewPower(k, params)
	if err != nil {
		return err
	}
	if m.secrets = changedSecrets(stored, p.Secrets); len(m.secrets) == 0 && d.Type == m.Power.Type {
		p.Secrets = nil // as they are stored
	}
	p.State = m.Power.State // observed, so not a document's
	m.Power = p
	return nil
}

// storedSecrets are those that a machine keeps: none if it is new or switched in another way from
// now on.
func (a *applier) storedSecrets(k power.Kind, m *powered) (map[string]string, error) {
	out := map[string]string{}
	if m.ID == 0 || m.Power.Type != k.Name {
		return out, nil
	}
	all, err := a.inv.PowerParams(a.ctx, m.ID)
	for _, p := range k.Params {
		if value, ok := all[p.Name]; ok && p.Secret {
			out[p.Name] = value
		}
	}
	return out, err
}

// missingSecrets warns of machines of the document whose power control lacks a secret: documents
// never export secrets, so the machines of another site cannot be switched until they are given.
func (a *applier) missingSecrets(doc *Document) error {
	for _, d := range doc.Machines {
		if d.Power == nil || d.Power.Type == "" {
			continue
		}
		k, err := a.opts.Kinds.Kind(d.Power.Type)
		if err != nil {
			continue // it was known before
		}
		m, err := a.inv.Machines.Find(a.ctx, a.machineKey(d))
		if err != nil {
			return err
		}
		stored, err := a.storedSecrets(k, &powered{Machine: m})
		if err != nil {
			return err
		}
		for _, p := range k.Params {
			if p.Secret && stored[p.Name] == "" && (p.Required || p.Name == "power_pass") {
				a.warn("machine %s: no %s; documents hold no secrets, so set it on this site", m.FQDN, p.Name)
			}
		}
	}
	return nil
}

// notHidden refuses values that were copied from a list of changes.
func notHidden(k power.Kind, params power.Params) error {
	for _, p := range k.Params {
		if p.Secret && params[p.Name] == Hidden {
			return fmt.Errorf("power: %s is %s, which stands for a secret; leave it out to keep what is stored", p.Name, Hidden)
		}
	}
	return nil
}

// changedSecrets returns the secrets that differ, for the report: it shows that a secret changes,
// never its value.
func changedSecrets(stored map[string]string, now inventory.Secrets) map[string]string {
	out := map[string]string{}
	for name, value := range now {
		if old, ok := stored[name]; !ok || old != value {
			out[name] = Hidden
		}
	}
	for name := range stored {
		if _, stays := now[name]; !stays {
			out[name] = ""
		}
	}
	return out
}
