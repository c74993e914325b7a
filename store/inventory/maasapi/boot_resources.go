package maasapi

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/store/inventory"
)

// bootResourceJSON is an image as MAAS shows it. Its name has no architecture.
type bootResourceJSON struct {
	ID           int64  `json:"id"`
	Type         string `json:"type"` // "Synced", or "Uploaded" for the operator's own files
	Name         string `json:"name"`
	Architecture string `json:"architecture"`
	Title        string `json:"title"`
	ResourceURI  string `json:"resource_uri"`
	// Sets are the versions, of which there is one; in the answer to a read alone.
	Sets map[string]bootSetJSON `json:"sets,omitempty"`
}

type bootSetJSON struct {
	Version  string                  `json:"version"`
	Label    string                  `json:"label"`
	Size     int64                   `json:"size"`
	Complete bool                    `json:"complete"`
	Progress float64                 `json:"progress"`
	Files    map[string]bootFileJSON `json:"files"`
}

type bootFileJSON struct {
	FileName string `json:"filename"`
	FileType string `json:"filetype"`
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
	Complete bool   `json:"complete"`
}

func (a *API) bootResourceOf(b inventory.BootImage) bootResourceJSON {
	out := bootResourceJSON{ID: b.ID, Type: "Synced", Name: b.Name, Architecture: "amd64/generic", Title: b.Name, ResourceURI: fmt.Sprintf("%sboot-resources/%d/", a.base, b.ID)}
	if b.Spec.Local {
		out.Type = "Uploaded"
	}
	if _, q, err := images.ParseName(b.Name); err == nil && q.Arch != "" {
		out.Name, out.Architecture = strings.TrimSuffix(b.Name, "/"+q.Arch), q.Arch+"/generic"
	}
	return out
}

// listBootResources lists the images that have been fetched.
func (a *API) listBootResources(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{"boot-resources op=" + op}
	}
	all, err := a.inv.BootImages.List(r.Context())
	out := []bootResourceJSON{}
	for _, b := range all {
		if b.Ready() {
			out = append(out, a.bootResourceOf(b))
		}
	}
	return out, err
}

// getBootResource returns an image with its files.
func (a *API) getBootResource(r *http.Request) (any, error) {
	b, err := a.bootImage(r)
	if err != nil {
		return nil, err
	}
	out := a.bootResourceOf(b)
	version := cmp.Or(b.Content.Version, "current")
	set := bootSetJSON{Version: version, Label: "stable", Size: b.Content.Size(), Complete: b.Ready(), Files: map[string]bootFileJSON{}}
	if b.Ready() {
		set.Progress = 100
	}
	for _, f := range b.Content.Files {
		set.Files[f.Name] = bootFileJSON{FileName: f.Name, FileType: fileType(f.Name), SHA256: f.SHA256.String(), Size: f.Size, Complete: true}
	}
	out.Sets = map[string]bootSetJSON{version: set}
	return out, nil
}

// fileType returns the type that MAAS has for a file.
func fileType(name string) string {
	switch name {
	case "kernel", "initrd":
		return "boot-" + name
	case "filesystem.squashfs":
		return "squashfs"
	}
	return "other"
}

func (a *API) bootImage(r *http.Request) (b inventory.BootImage, err error) {
	id, err := pathID(r)
	if err != nil {
		return b, err
	}
	return a.inv.BootImages.Get(r.Context(), id)
}

// bootSourceJSON is the source of an image. MAAS has sources of many images; here each image has
// its own.
type bootSourceJSON struct {
	ID              int64     `json:"id"`
	URL             string    `json:"url"`
	KeyringFilename string    `json:"keyring_filename"`
	KeyringData     string    `json:"keyring_data"`
	Created         time.Time `json:"created"`
	Updated         time.Time `json:"updated"`
	ResourceURI     string    `json:"resource_uri"`
}

func (a *API) bootSourceOf(b inventory.BootImage) bootSourceJSON {
	out := bootSourceJSON{ID: b.ID, Created: b.Requested, Updated: b.Fetched, ResourceURI: fmt.Sprintf("%sboot-sources/%d/", a.base, b.ID)}
	if s, _, err := b.What(); err == nil {
		out.URL, out.KeyringData = cmp.Or(b.Spec.Mirror, s.Base), s.Armor
		if len(s.Keys) > 0 {
			out.KeyringFilename = s.Keys[0]
		}
	}
	return out
}

// listBootSources lists the sources of the images that have one.
func (a *API) listBootSources(r *http.Request) (any, error) {
	all, err := a.inv.BootImages.List(r.Context())
	out := []bootSourceJSON{}
	for _, b := range all {
		if !b.Spec.Local {
			out = append(out, a.bootSourceOf(b))
		}
	}
	return out, err
}

// getBootSource returns the source of an image.
func (a *API) getBootSource(r *http.Request) (any, error) {
	b, err := a.bootImage(r)
	if err == nil && b.Spec.Local {
		err = notFound("boot-source", r.PathValue("id"))
	}
	if err != nil {
		return nil, err
	}
	return a.bootSourceOf(b), nil
}
