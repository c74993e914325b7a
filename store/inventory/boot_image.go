package inventory

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// BootImage is a set of boot files that the site has, or is to have: the regions fetch what is new
// or was requested since it was fetched.
type BootImage struct {
	ID      int64
	Version int64 // counts changes; an update must carry the one that was read
	// Name is the path of the files, such as "debian/12": profiles name "debian/12/kernel". "." is
	// the top, which the operator's own directory has.
	Name string
	Spec ImageSpec
	// Content has the files that were fetched; without files, nothing was yet.
	Content images.Image
	// Problem holds the reason of the last failure; "" = the last attempt succeeded. The content is
	// of an earlier attempt.
	Problem   string
	Requested time.Time // of the content, by a user
	Fetched   time.Time // zero = never
}

// ImageSpec says where an image is fetched from.
type ImageSpec struct {
	// Local images are the files that the region's configuration names. They have no other fields.
	Local bool `json:"local,omitempty"`
	// Source takes the place of the source of that name; nil = the known one that the first part of
	// the image's name names.
	Source *images.Source `json:"source,omitempty"`
	// Mirror takes the place of the source's base URL.
	Mirror string `json:"mirror,omitempty"`
	// Unsigned permits checksums without a signature over plain HTTP.
	Unsigned bool `json:"unsigned,omitempty"`
}

var bootImages = table[BootImage]{
	kind: kinds.BootImage, name: "boot_image", cols: []string{"name", "spec", "content", "problem", "requested", "fetched"},
	id: func(b *BootImage) *int64 { return &b.ID }, version: func(b *BootImage) *int64 { return &b.Version },
	label: func(b *BootImage) string { return b.Name },
	fields: func(b *BootImage) []any {
		return []any{&b.Name, asJSON{&b.Spec}, asJSON{&b.Content}, &b.Problem, asTime{&b.Requested}, asTime{&b.Fetched}}
	},
}

// Bounds of images: racks hold the list of all files in memory.
const (
	maxBootImages = 1000
	maxImageText  = 64 << 10 // of a spec, whose source may have keys
)

// keyringDirs are the directories of the region's host in which sources of users may name keyrings:
// a user that may add images may not read all files of the host.
var keyringDirs = []string{"/usr/share/keyrings", "/usr/share/distribution-gpg-keys", "/etc/apt/keyrings"}

func strayKeyring(file string) bool {
	return path.Clean(file) != file || !slices.ContainsFunc(keyringDirs, func(dir string) bool { return strings.HasPrefix(file, dir+"/") })
}

// What returns the source of the image and the request for it.
func (b BootImage) What() (images.Source, images.Request, error) {
	family, q, err := images.ParseName(b.Name)
	if err != nil && b.Spec.Source == nil {
		return images.Source{}, q, err
	}
	q.Mirror, q.Unsigned = b.Spec.Mirror, b.Spec.Unsigned
	if b.Spec.Source != nil {
		return *b.Spec.Source, q, nil
	}
	var known []string
	for _, s := range images.Sources() {
		if s.Name == family {
			return s, q, nil
		}
		known = append(known, s.Name)
	}
	slices.Sort(known)
	return images.Source{}, q, fmt.Errorf("no source %q is known; known are %s, and any other can be given", family, strings.Join(known, ", "))
}

// Ready reports whether the image has files.
func (b BootImage) Ready() bool { return len(b.Content.Files) > 0 }

func (b *BootImage) check(ctx context.Context, tx *store.Tx) error {
	wrong := func(field, format string, args ...any) error {
		return invalid(kinds.BootImage, b.Name, field, fmt.Sprintf(format, args...))
	}
	if !images.ValidName(b.Name) || b.Name == "." && !b.Spec.Local {
		return wrong("name", "is no path that can be served; want one such as debian/12")
	}
	if !b.Spec.Local {
		s, q, err := b.What()
		if err == nil {
			err = s.Check(q)
		}
		if b.Spec.Source != nil && slices.ContainsFunc(s.Keys, strayKeyring) {
			return wrong("source", "has keyrings outside of %s; give it the keys themselves", strings.Join(keyringDirs, ", "))
		}
		if err != nil {
			return wrong("source", "%s", strings.TrimPrefix(err.Error(), "images: "))
		}
		if text, err := (asJSON{&b.Spec}).Value(); err != nil || len(text.(string)) > maxImageText {
			return wrong("source", "is longer than %d bytes", maxImageText)
		}
	}
	b.Content.Name = b.Name
	if err := b.Content.Check(); err != nil {
		return wrong("content", "%v", err)
	}
	all, err := bootImages.list(ctx, tx, "id <> ?", b.ID)
	if err != nil {
		return err
	}
	if len(all) >= maxBootImages {
		return wrong("__all__", "there are %d images already", len(all))
	}
	// Files of two images must not have one name: which one is served would depend on their order.
	have := []images.Image{b.Content}
	for _, other := range all {
		have = append(have, other.Content)
	}
	if _, err := images.NewIndex(have); err != nil {
		return wrong("name", "%s", strings.TrimPrefix(err.Error(), "images: "))
	}
	return nil
}

func (inv *Inventory) bootImageRules() rules[BootImage] {
	return rules[BootImage]{
		check: func(ctx context.Context, tx *store.Tx, b, _ *BootImage) error { return b.check(ctx, tx) },
		keep: func(ctx context.Context, tx *store.Tx, b *BootImage) error {
			users, err := inv.profileFiles(ctx, tx)
			if err != nil {
				return err
			}
			var uses []string
			for file, who := range users {
				if b.has(file) {
					uses = append(uses, fmt.Sprintf("%s for %s", who, file))
				}
			}
			slices.Sort(uses)
			return inUse(kinds.BootImage, b.Name, "give these profiles other files first", uses)
		},
		unique: func(b *BootImage) string { return "name " + b.Name },
		key:    "name",
	}
}

// has reports whether a file is of this image. Of an image that was not fetched yet, all files
// below its name are.
func (b *BootImage) has(file string) bool {
	if !b.Ready() {
		return b.Name != "." && strings.HasPrefix(file, b.Name+"/")
	}
	return slices.ContainsFunc(b.Content.Files, func(f images.File) bool { return path.Join(b.Name, f.Name) == file })
}

// profileFiles returns the targets of the profiles that name a file, by file.
func (inv *Inventory) profileFiles(ctx context.Context, tx *store.Tx) (map[string]string, error) {
	out := make(map[string]string)
	add := func(who string, p *pxe.Profile) {
		if p != nil {
			for _, f := range p.Files() {
				out[f] = who
			}
		}
	}
	site, err := inv.Profiles.Default(ctx)
	if err != nil {
		return nil, err
	}
	add("the site", site)
	all, err := bootRules.list(ctx, tx, "")
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		who, err := r.For.name(ctx, tx)
		if err != nil {
			return nil, err
		}
		add(who, &r.Profile)
	}
	machines, err := nodesWhere(ctx, tx, kinds.Machine, "n.profile <> 'null'")
	for _, n := range machines {
		add("machine "+n.Hostname, n.Profile)
	}
	return out, err
}

// maxNamesShown bounds the names in an error.
const maxNamesShown = 12

// checkFiles refuses a profile that names a file that does not exist.
func (inv *Inventory) checkFiles(ctx context.Context, tx *store.Tx, target string, p *pxe.Profile) error {
	if p != nil && inv.checkMedia != nil {
		if err := inv.checkMedia(*p); err != nil {
			return invalid(kinds.BootProfile, target, "profile", "cannot be booted: "+err.Error())
		}
	}
	if inv.bootFile == nil || p == nil {
		return nil
	}
	all, err := bootImages.list(ctx, tx, "")
	if err != nil {
		return err
	}
	for _, file := range p.Files() {
		if inv.bootFile(file) || slices.ContainsFunc(all, func(b BootImage) bool { return b.has(file) }) {
			continue
		}
		return invalid(kinds.BootProfile, target, "profile", fmt.Sprintf("names the file %q, which does not exist; %s", file, existing(all)))
	}
	return nil
}

// existing lists the names that profiles may have.
func existing(all []BootImage) string {
	names := make(map[string]bool)
	for _, b := range all {
		for _, f := range b.Content.Files {
			names[path.Join(b.Name, f.Name)] = true
		}
	}
	if len(names) == 0 {
		return "the site has no boot files; maas image add debian/12 fetches some, and boot: files: DIR of the configuration adds your own"
	}
	sorted := slices.Sorted(maps.Keys(names))
	more := ""
	if n := len(sorted) - maxNamesShown; n > 0 {
		sorted, more = sorted[:maxNamesShown], fmt.Sprintf(" and %d more", n)
	}
	return "existing are " + strings.Join(sorted, ", ") + more
}
