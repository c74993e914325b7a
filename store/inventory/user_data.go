package inventory

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// MaxUserData is the largest user data in octets; EC2 takes 16 KiB.
const MaxUserData = 64 << 10

// UserData describes user data, without its content.
type UserData struct {
	// For is the machine, or the tag of the machines, that reads it; the zero target is all others.
	For     BootTarget
	Name    string // of the machine with its domain, or of the tag; "" = the site. Filled in by reads
	Size    int    // in octets
	Changed time.Time
	// Mark is another text with each change, and says nothing about the content.
	Mark string
}

// UserDataSet holds the user data of a site. It may contain passwords, so it is sealed as secrets
// are. A machine reads its own, else that of the oldest of its tags that has some, else the site's.
type UserDataSet struct{ inv *Inventory }

// userDataOwner is the owner that user data is sealed for: a sealed text that is copied to another
// row does not open.
func userDataOwner(of BootTarget) string {
	return fmt.Sprintf("user data of machine %d, tag %d", of.MachineID, of.TagID)
}

// place returns the condition for the row of a target, with its arguments.
func (of BootTarget) place() (string, []any) {
	switch {
	case of.MachineID != 0:
		return "node_id = ?", []any{of.MachineID}
	case of.TagID != 0:
		return "tag_id = ?", []any{of.TagID}
	}
	return "node_id IS NULL AND tag_id IS NULL", nil
}

// Get returns the user data of exactly this target; nil = it has none.
func (us *UserDataSet) Get(ctx context.Context, of BootTarget) (data []byte, err error) {
	err = us.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := of.name(ctx, tx); err != nil {
			return err
		}
		var sealed []byte
		where, args := of.place()
		err := tx.Get(ctx, "SELECT sealed FROM user_data WHERE "+where, args, &sealed)
		if notFound(err) {
			data = nil
			return nil
		}
		if err != nil {
			return err
		}
		data, err = us.inv.seal.Open(sealed, userDataOwner(of))
		return err
	})
	return data, err
}

// Set sets the user data of a target; nil removes it. Racks follow at once.
func (us *UserDataSet) Set(ctx context.Context, of BootTarget, data []byte) error {
	return us.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		name, err := of.name(ctx, tx)
		if err != nil {
			return err
		}
		if of.SubnetID != 0 {
			return invalid(kinds.UserData, name, "subnet", "cannot have user data; give it to machines, a tag or the site")
		}
		if len(data) > MaxUserData {
			return invalid(kinds.UserData, name, "user_data", fmt.Sprintf("has %d octets, want at most %d; have it fetch what is larger", len(data), MaxUserData))
		}
		where, args := of.place()
		var id int64
		err = tx.Get(ctx, "SELECT id FROM user_data WHERE "+where, args, &id)
		if err != nil && !notFound(err) {
			return err
		}
		if id != 0 {
			if _, err := tx.Exec(ctx, "DELETE FROM user_data WHERE id = ?", id); err != nil {
				return err
			}
			tx.Changed(kinds.UserData, id, store.Deleted)
		}
		if data == nil {
			return nil
		}
		mark := rand.Text()
		const insert = "INSERT INTO user_data (node_id, tag_id, mark, size, changed, sealed) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"
		id, err = tx.Insert(ctx, insert, asRef{&of.MachineID}, asRef{&of.TagID}, mark, len(data), time.Now().UnixMicro(), us.inv.seal.Close(data, userDataOwner(of)))
		tx.Changed(kinds.UserData, id, store.Created)
		return err
	})
}

// List lists all user data: the site's, then that of tags and machines.
func (us *UserDataSet) List(ctx context.Context) (all []UserData, err error) {
	err = us.inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		if all, err = listUserData(ctx, tx); err != nil {
			return err
		}
		for i := range all {
			if of := all[i].For; of.MachineID != 0 {
				var m Machine
				m, err = us.inv.Machines.Get(ctx, of.MachineID)
				all[i].Name = m.FQDN
			} else {
				all[i].Name, err = of.label(ctx, tx)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

func listUserData(ctx context.Context, tx *store.Tx) (all []UserData, err error) {
	const query = "SELECT node_id, tag_id, mark, size, changed FROM user_data ORDER BY COALESCE(node_id, 0), COALESCE(tag_id, 0)"
	err = tx.Query(ctx, query, nil, func(scan func(...any) error) error {
		var u UserData
		err := scan(asRef{&u.For.MachineID}, asRef{&u.For.TagID}, &u.Mark, &u.Size, asTime{&u.Changed})
		all = append(all, u)
		return err
	})
	return all, err
}

// Contents returns all user data by mark. Only the machines that it is for may get it.
func (us *UserDataSet) Contents(ctx context.Context) (map[string][]byte, error) {
	out := make(map[string][]byte)
	err := us.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		clear(out)
		return tx.Query(ctx, "SELECT node_id, tag_id, mark, sealed FROM user_data", nil, func(scan func(...any) error) error {
			var of BootTarget
			var mark string
			var sealed []byte
			if err := scan(asRef{&of.MachineID}, asRef{&of.TagID}, &mark, &sealed); err != nil {
				return err
			}
			data, err := us.inv.seal.Open(sealed, userDataOwner(of))
			out[mark] = data
			return err
		})
	})
	return out, err
}
