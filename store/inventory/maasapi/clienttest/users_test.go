package clienttest

import (
	"testing"

	"github.com/canonical/gomaasclient/entity"
	"github.com/canonical/gomaasclient/entity/event"
)

func TestUsersTagsAndEvents(t *testing.T) {
	c, _ := open(t)
	u := must[*entity.User](t, "create user")(c.Users.Create(&entity.UserParams{UserName: "ada", Password: "correct horse", Email: "ada@example.org"}))
	check(t, "user", u.UserName == "ada" && !u.IsSuperUser && u.IsLocal, u)
	check(t, "users", len(must[[]entity.User](t, "list")(c.Users.Get())) == 2, nil)
	_, err := c.Users.Create(&entity.UserParams{UserName: "ada", Password: "correct horse"})
	fails(t, "a user twice", err, "400")
	_, err = c.Users.Create(&entity.UserParams{UserName: "bob", Password: "short"})
	fails(t, "a short password", err, "8 to 1024")
	if err := c.User.Delete("ada"); err != nil {
		t.Error(err)
	}
	_, err = c.User.Get("ada")
	fails(t, "a user that is gone", err, "404")
	fails(t, "the only administrator", c.User.Delete("admin"), "409")

	key := must[*entity.SSHKey](t, "create key")(c.SSHKeys.Create("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJt7v6T1Yp0vJm1mJc9m7v6T1Yp0vJm1mJc9m7v6T1Yp x"))
	check(t, "keys", len(must[[]entity.SSHKey](t, "list")(c.SSHKeys.Get())) == 1, key)
	if err := c.SSHKey.Delete(key.ID); err != nil {
		t.Error(err)
	}

	m := must[*entity.Machine](t, "create machine")(c.Machines.Create(&entity.MachineParams{Hostname: "node1", MACAddresses: []string{"02:00:00:00:00:01"}, PowerType: "manual"}, nil))
	tag := must[*entity.Tag](t, "create tag")(c.Tags.Create(&entity.TagParams{Name: "gpu", Comment: "has one"}))
	check(t, "tag", tag.Name == "gpu" && tag.Comment == "has one", tag)
	if err := c.Tag.AddMachines("gpu", []string{m.SystemID}); err != nil {
		t.Error(err)
	}
	tagged := must[[]entity.Machine](t, "tagged machines")(c.Tag.GetMachines("gpu"))
	check(t, "tagged", len(tagged) == 1 && tagged[0].SystemID == m.SystemID && tagged[0].TagNames[0] == "gpu", tagged)
	got := must[*entity.Machine](t, "allocate")(c.Machines.Allocate(&entity.MachineAllocateParams{Tags: []string{"gpu"}}))
	check(t, "allocated", got.SystemID == m.SystemID, got)
	locked := must[*entity.Machine](t, "lock")(c.Machine.Lock(m.SystemID, "mine"))
	check(t, "locked", locked.Locked, locked)
	_, err = c.Machine.Release(m.SystemID, &entity.MachineReleaseParams{})
	fails(t, "release of a locked machine", err, "409")
	must[*entity.Machine](t, "unlock")(c.Machine.Unlock(m.SystemID, ""))
	if err := c.Tag.RemoveMachines("gpu", []string{m.SystemID}); err != nil {
		t.Error(err)
	}
	must[*entity.Tag](t, "update tag")(c.Tag.Update("gpu", &entity.TagParams{Name: "gpus"}))
	if err := c.Tag.Delete("gpus"); err != nil {
		t.Error(err)
	}

	audit := must[*entity.EventsResp](t, "audit")(c.Events.Get(&entity.EventParams{Level: event.AUDIT, Limit: "1000"}))
	check(t, "audit", audit.Count > 8 && audit.Events[0].UserName == "admin" && audit.Events[0].Level == event.AUDIT, audit)
	types := must[[]entity.PowerType](t, "power types")(c.RackControllers.DescribePowerTypes())
	check(t, "power types", len(types) == 2, types)
	check(t, "racks", len(must[[]entity.RackController](t, "racks")(c.RackControllers.Get(&entity.RackControllersGetParams{}))) == 0, nil)
	if err := c.MAASServer.Post("ntp_servers", "192.0.2.1"); err != nil {
		t.Error(err)
	}
	value := must[[]byte](t, "setting")(c.MAASServer.Get("ntp_servers"))
	check(t, "setting", string(value) == `"192.0.2.1"`, string(value))
}
