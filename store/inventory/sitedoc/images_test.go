package sitedoc_test

import (
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// Images of a document are requested, exported, left alone if nothing differs, and pruned; those of
// a region's configuration are neither shown nor touched.
func TestImages(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	local := inventory.BootImage{Name: ".", Spec: inventory.ImageSpec{Local: true}, Content: images.Image{Files: []images.File{{Name: "memtest", Piece: 1}}}}
	if _, err := inv.BootImages.Create(ctx, local); err != nil {
		t.Fatal(err)
	}
	apply := func(text string, prune bool) (ops []string, err error) {
		report, err := sitedoc.Apply(ctx, inv, parse(t, text), sitedoc.Options{Kinds: kinds, Prune: prune})
		for _, c := range report {
			if c.Kind == "image" {
				ops = append(ops, c.Op+" "+c.Name)
			}
		}
		return ops, err
	}
	const text = "images: [{name: debian/12, mirror: 'http://mirror.example/debian'}, {name: tools/memtest, source: {name: tools, base: 'http://tools.example', files: {kernel: memtest.bin}, sums: {memtest.bin: " +
		"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a}}}]\n"
	if ops, err := apply(text, false); err != nil || strings.Join(ops, "; ") != "create debian/12; create tools/memtest" {
		t.Errorf("changes %q, error %v", ops, err)
	}
	if ops, err := apply(text, true); err != nil || ops != nil {
		t.Errorf("the second time: changes %q, error %v", ops, err)
	}
	doc, err := sitedoc.Export(ctx, inv)
	if err != nil || len(doc.Images) != 2 || doc.Images[1].Source.Files["kernel"] != "memtest.bin" {
		t.Errorf("exported %+v, error %v", doc.Images, err)
	}
	if ops, err := apply("images: [{name: debian/12}]\n", true); err != nil || strings.Join(ops, "; ") != "update debian/12; delete tools/memtest" {
		t.Errorf("changes %q, error %v", ops, err)
	}
	for _, bad := range []string{"{name: plan9/4}", "{name: ../12}", "{name: debian/12, mirror: 'ftp://mirror'}", "{name: fedora/41, mirror: 'http://plain'}", "{name: .}",
		"{name: own/1, source: {name: own, base: 'http://own.example', files: {kernel: k}, signature: .sig, keys: [/etc/shadow]}}"} {
		if _, err := apply("images: ["+bad+"]\n", false); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
