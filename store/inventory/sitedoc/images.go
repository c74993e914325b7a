package sitedoc

import (
	"context"
	"slices"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// images joins images to the document. The files of a region's configuration are not the site's.
func (a *applier) images(docs *[]Image) step {
	return kind[Image, inventory.BootImage]{
		applier: a, name: "image", docs: docs, objects: a.inv.BootImages, id: func(b inventory.BootImage) int64 { return b.ID },
		list: func(ctx context.Context) ([]inventory.BootImage, error) {
			all, err := a.inv.BootImages.List(ctx)
			return slices.DeleteFunc(all, func(b inventory.BootImage) bool { return b.Spec.Local }), err
		},
		doc: func(b inventory.BootImage) (Image, error) {
			return Image{Name: b.Name, Mirror: b.Spec.Mirror, Unsigned: b.Spec.Unsigned, Source: b.Spec.Source}, nil
		},
		key: func(d Image) string { return d.Name },
		fill: func(d Image, b *inventory.BootImage) error {
			// Only one that is described otherwise is written, so that only that is fetched again.
			b.Name, b.Spec, b.Requested = d.Name, inventory.ImageSpec{Mirror: d.Mirror, Unsigned: d.Unsigned, Source: d.Source}, time.Now()
			return nil
		},
	}
}
