package region

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// ImageInfo is an image in the answers of the API.
type ImageInfo struct {
	Name string `json:"name"`
	// State is "ready", "fetching", "waiting" or "failed". One that failed has the files of an
	// earlier fetch, if it has any.
	State    string              `json:"state"`
	Problem  string              `json:"problem,omitempty"`
	Version  string              `json:"version,omitempty"`
	Verified string              `json:"verified,omitempty"`
	Origin   string              `json:"origin,omitempty"`
	Size     int64               `json:"size"`
	Fetched  time.Time           `json:"fetched,omitzero"`
	Files    []ImageFile         `json:"files"`
	Progress *ImageProgress      `json:"progress,omitempty"`
	Spec     inventory.ImageSpec `json:"spec"`
}

// ImageFile is a file of an image. Profiles name it by Name.
type ImageFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// ImageProgress reports how far a fetch has got, in bytes of one file. Total is -1 if the source
// does not say.
type ImageProgress struct {
	File  string `json:"file,omitempty"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// ImagesPath is the path of images.
const ImagesPath = "/api/v1/images"

// imageRoutes returns the endpoints of images. Names have slashes, so that they are a parameter.
func (r *Region) imageRoutes() map[string]maasapi.Endpoint {
	return map[string]maasapi.Endpoint{
		"GET " + ImagesPath:           r.listImages,
		"PUT " + ImagesPath:           r.putImage,
		"DELETE " + ImagesPath:        r.deleteImage,
		"POST " + ImagesPath + "/gc":  r.collectImages,
		"GET " + ImagesPath + "/show": r.showImage,
	}
}

// moreRoutes returns the endpoints that the region adds to the API.
func (r *Region) moreRoutes() map[string]maasapi.Endpoint {
	all := r.explainRoutes()
	for pattern, e := range r.imageRoutes() {
		all[pattern] = e
	}
	return all
}

func (s *imageService) info(b inventory.BootImage) ImageInfo {
	out := ImageInfo{
		Name: b.Name, State: "waiting", Problem: b.Problem, Version: b.Content.Version, Verified: b.Content.Verified, Origin: b.Content.Origin,
		Size: b.Content.Size(), Fetched: b.Fetched, Files: []ImageFile{}, Spec: b.Spec,
	}
	if out.Spec.Source != nil {
		source := *out.Spec.Source
		source.Armor = "" // long, and of no use to readers
		out.Spec.Source = &source
	}
	for _, f := range b.Content.Files {
		out.Files = append(out.Files, ImageFile{path.Join(b.Name, f.Name), f.Size, f.SHA256.String()})
	}
	s.mu.Lock()
	p, fetching := s.progress[b.Name]
	s.mu.Unlock()
	switch {
	case fetching:
		out.State, out.Progress = "fetching", &ImageProgress{p.File, p.Done, p.Total}
	case !b.Fetched.After(b.Requested) && !b.Spec.Local:
	case b.Problem != "":
		out.State = "failed"
	case b.Ready() || b.Spec.Local:
		out.State = "ready"
	}
	return out
}

func (r *Region) listImages(req *http.Request) (any, error) {
	all, err := r.inv.BootImages.List(req.Context())
	out := make([]ImageInfo, 0, len(all))
	for _, b := range all {
		out = append(out, r.images.info(b))
	}
	return out, err
}

func (r *Region) showImage(req *http.Request) (any, error) {
	b, err := r.inv.BootImages.Find(req.Context(), req.FormValue("name"))
	if err != nil {
		return nil, err
	}
	return r.images.info(b), nil
}

// maxSpec bounds the body of a request.
const maxSpec = 128 << 10

// putImage requests an image with the specification in the body, also one that exists: it is
// brought up to date. An empty body leaves the specification.
func (r *Region) putImage(req *http.Request) (any, error) {
	spec, given := inventory.ImageSpec{}, false
	decoder := json.NewDecoder(http.MaxBytesReader(nil, req.Body, maxSpec))
	decoder.DisallowUnknownFields()
	if req.ContentLength != 0 {
		if err := decoder.Decode(&spec); err != nil {
			return nil, maasapi.BadField("body", fmt.Sprintf("is no specification of an image: %v", err))
		}
		given = true
	}
	name := req.URL.Query().Get("name")
	b, err := r.inv.BootImages.Find(req.Context(), name)
	absent := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !absent:
		return nil, err
	case spec.Local || b.Spec.Local:
		return nil, ownFiles(cmp.Or(name, "."))
	case absent:
		b, err = r.inv.BootImages.Create(req.Context(), inventory.BootImage{Name: name, Spec: spec, Requested: time.Now()})
	default:
		if given {
			b.Spec = spec
		}
		b.Requested = time.Now()
		b, err = r.inv.BootImages.Update(req.Context(), b)
	}
	if err != nil {
		return nil, err
	}
	return r.images.info(b), nil
}

func (r *Region) deleteImage(req *http.Request) (any, error) {
	b, err := r.inv.BootImages.Find(req.Context(), req.FormValue("name"))
	if err != nil {
		return nil, err
	}
	if b.Spec.Local {
		return nil, ownFiles(b.Name)
	}
	return nil, r.inv.BootImages.Delete(req.Context(), b.ID)
}

// ownFiles refuses to change the operator's own files by the API.
func ownFiles(name string) error {
	return maasapi.BadField("name", name+" holds the files of a region's configuration (boot: files, kernel, initrd), which keeps it up to date")
}

// collectImages removes content that no image has, in the store of this region.
func (r *Region) collectImages(req *http.Request) (any, error) {
	if name := r.images.fetching(); name != "" {
		return nil, maasapi.BadField("__all__", "image "+name+" is being fetched, whose content no list has yet; try again when it is ready")
	}
	freed, err := r.images.collect(req.Context(), collectAfter)
	return map[string]int64{"freed": freed}, err
}

// filesKnown returns what Inventory asks about files that no image has.
func filesKnown(dirs map[string]fs.FS) func(string) bool {
	return func(name string) bool {
		for at, dir := range dirs {
			inside, ok := name, true
			if at != "." {
				inside, ok = strings.CutPrefix(name, at+"/")
			}
			if !ok || !images.ValidName(name) {
				continue
			}
			if info, err := fs.Stat(dir, inside); err == nil && info.Mode().IsRegular() {
				return true
			}
		}
		return false
	}
}

// mediaCheck looks into the files of profiles; nil = there are none.
func mediaCheck(dirs map[string]fs.FS) func(pxe.Profile) error {
	if len(dirs) == 0 {
		return nil
	}
	return func(p pxe.Profile) error { return pxe.CheckMedia(p, mediaFiles(dirs)) }
}

// mediaFiles opens the files of directories by the names that profiles have.
type mediaFiles map[string]fs.FS

// Open implements fs.FS.
func (dirs mediaFiles) Open(name string) (fs.File, error) {
	for at, dir := range dirs {
		inside, ok := name, true
		if at != "." {
			inside, ok = strings.CutPrefix(name, at+"/")
		}
		if !ok {
			continue
		}
		if f, err := dir.Open(inside); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
