package netconfig

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// ignition writes a configuration of Ignition (specification 3.3.0) that holds the units of
// systemd-networkd.
func (r *renderer) ignition() error { return r.ignite((*renderer).networkd) }

// ignitionNM writes one that holds keyfiles of NetworkManager.
func (r *renderer) ignitionNM() error { return r.ignite((*renderer).keyfiles) }

func (r *renderer) ignite(inner func(*renderer) error) error {
	files := &renderer{Config: r.Config}
	if err := inner(files); err != nil {
		return err
	}
	r.out.Warnings = append(r.out.Warnings, files.out.Warnings...)
	slices.SortFunc(files.out.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	type contents struct {
		Source string `json:"source"`
	}
	type file struct {
		Path      string   `json:"path"`
		Mode      int      `json:"mode"`
		Overwrite bool     `json:"overwrite"`
		Contents  contents `json:"contents"`
	}
	var c struct {
		Ignition struct {
			Version string `json:"version"`
		} `json:"ignition"`
		Storage struct {
			Files []file `json:"files"`
		} `json:"storage"`
	}
	c.Ignition.Version = "3.3.0"
	for _, f := range files.out.Files {
		c.Storage.Files = append(c.Storage.Files, file{f.Path, int(f.Mode), true, contents{"data:," + url.PathEscape(f.Text)}})
	}
	text, err := json.MarshalIndent(c, "", "  ")
	r.file("config.ign", 0o644, string(text)+"\n")
	return err
}
