package inventory_test

import (
	"crypto/sha256"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
)

func bootFile(name, text string) images.File {
	sum := images.Hash(sha256.Sum256([]byte(text)))
	return images.File{Name: name, Size: int64(len(text)), SHA256: sum, Piece: images.PieceSize, Pieces: []images.Hash{sum}}
}

func TestBootImages(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		b := must[inventory.BootImage](t)(inv.BootImages.Create(ctx, inventory.BootImage{Name: "debian/12", Requested: time.Now()}))
		b.Content, b.Fetched = images.Image{Files: []images.File{bootFile("kernel", "k")}, Version: "bookworm"}, time.Now().Truncate(time.Microsecond)
		must[inventory.BootImage](t)(inv.BootImages.Update(ctx, b))
		got := must[inventory.BootImage](t)(inv.BootImages.Find(ctx, "debian/12"))
		if got.Content.Name != "debian/12" || got.Content.Files[0].SHA256 != b.Content.Files[0].SHA256 || !got.Fetched.Equal(b.Fetched) || !got.Ready() {
			t.Errorf("stored %+v", got)
		}
		other := inventory.BootImage{Name: "debian", Spec: inventory.ImageSpec{Local: true}, Content: images.Image{Files: []images.File{bootFile("12/kernel", "k")}}}
		if _, err := inv.BootImages.Create(ctx, other); err == nil || !strings.Contains(err.Error(), "debian/12/kernel") {
			t.Errorf("two files of one name: error %v", err)
		}
		if _, err := inv.BootImages.Create(ctx, inventory.BootImage{Name: "debian/12"}); !errors.As(err, new(*inventory.ExistsError)) {
			t.Errorf("the same name again: error %v", err)
		}
	})
}

// A profile of any target that names a file which does not exist is refused with the names that do,
// and an image stays whose files a profile names.
func TestProfilesNameFilesThatExist(t *testing.T) {
	db := must[*store.DB](t)(store.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "maas.db"), schema.FS))
	t.Cleanup(func() { db.Close() })
	ctx := t.Context()
	inv := must[*inventory.Inventory](t)(inventory.Open(ctx, db, inventory.Config{BootFile: func(name string) bool { return name == "own.bin" }}))
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1)}}))
	tag := must[inventory.Tag](t)(inv.Tags.Create(ctx, inventory.Tag{Name: "gpu"}))
	if err := inv.Profiles.SetDefault(ctx, &pxe.Profile{Kernel: "vmlinuz"}); err == nil || !strings.Contains(err.Error(), "maas image add") {
		t.Errorf("no files at all: error %v", err)
	}
	b := must[inventory.BootImage](t)(inv.BootImages.Create(ctx, inventory.BootImage{Name: "debian/12", Requested: time.Now()}))
	targets := []inventory.BootTarget{{}, {MachineID: m.ID}, {TagID: tag.ID}}
	for _, of := range targets { // what is fetched is not known yet
		ok(t, inv.Profiles.Set(ctx, of, &pxe.Profile{Kernel: "debian/12/anything"}))
		ok(t, inv.Profiles.Set(ctx, of, nil))
	}
	b.Content, b.Fetched = images.Image{Files: []images.File{bootFile("kernel", "k"), bootFile("initrd", "i")}}, time.Now()
	b = must[inventory.BootImage](t)(inv.BootImages.Update(ctx, b))
	for _, of := range targets {
		for _, bad := range []pxe.Profile{
			{Kernel: "debian/12/vmlinuz"}, {Kernel: "debian/12/kernel", Initrd: []string{"debian/12/initrd", "debian/11/initrd"}}, {Kind: pxe.Chain, URL: "pxe/other"},
		} {
			err := inv.Profiles.Set(ctx, of, &bad)
			if !errors.As(err, new(*inventory.InvalidError)) || !strings.Contains(err.Error(), "existing are debian/12/initrd, debian/12/kernel") {
				t.Errorf("%+v for %+v: error %v", bad, of, err)
			}
		}
		for _, good := range []pxe.Profile{
			{Kernel: "http://elsewhere.example/vmlinuz"}, {Kind: pxe.Local}, {Kernel: "own.bin"}, {Kernel: "/debian/12/kernel", Initrd: []string{"debian/12/initrd"}},
		} {
			ok(t, inv.Profiles.Set(ctx, of, &good))
		}
		if err := inv.BootImages.Delete(ctx, b.ID); !errors.As(err, new(*inventory.InUseError)) {
			t.Errorf("an image in use was removed: error %v", err)
		}
		ok(t, inv.Profiles.Set(ctx, of, nil))
	}
	m = must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID))
	m.Profile = &pxe.Profile{Kernel: "none"}
	if _, err := inv.Machines.Update(ctx, m); err == nil {
		t.Error("a machine was given a profile whose file does not exist")
	}
	if _, err := inv.Machines.Create(ctx, inventory.Machine{Hostname: "node2", Profile: m.Profile, Interfaces: []inventory.Interface{nic(2)}}); err == nil {
		t.Error("a machine was made with a profile whose file does not exist")
	}
	ok(t, inv.BootImages.Delete(ctx, b.ID))
}
