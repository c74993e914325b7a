package images

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// streamIndex is the first document of a simplestreams mirror.
type streamIndex struct {
	Index map[string]struct {
		Path     string   `json:"path"`
		DataType string   `json:"datatype"`
		Products []string `json:"products"`
	} `json:"index"`
}

// streamProducts is a document with the files of products.
type streamProducts struct {
	Products map[string]streamProduct `json:"products"`
}

type streamProduct struct {
	attributes map[string]string // those that are text
	Versions   map[string]struct {
		Items map[string]streamItem `json:"items"`
	} `json:"versions"`
}

type streamItem struct {
	FileType string `json:"ftype"`
	Path     string `json:"path"`
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
}

// UnmarshalJSON keeps all attributes: which of them matter is the source's to say.
func (p *streamProduct) UnmarshalJSON(data []byte) error {
	type plain streamProduct
	if err := json.Unmarshal(data, (*plain)(p)); err != nil {
		return err
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	p.attributes = make(map[string]string)
	for name, v := range all {
		if text, ok := v.(string); ok {
			p.attributes[name] = text
		}
	}
	return nil
}

// productPaths returns the paths of the documents with downloads, in order.
func productPaths(data []byte) ([]string, error) {
	var x streamIndex
	if err := json.Unmarshal(data, &x); err != nil {
		return nil, fmt.Errorf("is no simplestreams index: %v", err)
	}
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(x.Index)) {
		e := x.Index[name]
		if (e.DataType == "image-downloads" || e.DataType == "image-ids") && inside(e.Path) {
			paths = append(paths, e.Path)
		}
	}
	return slices.Compact(paths), nil
}

// streamFiles chooses the newest version of a product with all wanted file types. wanted maps names
// to file types, match the attributes of the product to their values.
func streamFiles(data []byte, release, arch string, match, wanted map[string]string) (map[string]streamItem, string, error) {
	var doc streamProducts
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, "", fmt.Errorf("is no simplestreams product document: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Products)) {
		p := doc.Products[name]
		if !p.is(release, arch, match) {
			continue
		}
		// Versions are dates, so that the newest is the last one. The newest may lack a file that
		// is still being uploaded, so that older ones are tried.
		newest := slices.SortedFunc(maps.Keys(p.Versions), func(a, b string) int { return cmp.Compare(b, a) })
		for _, version := range newest {
			if files, ok := chooseItems(p.Versions[version].Items, wanted); ok {
				return files, version, nil
			}
		}
	}
	return nil, "", nil
}

func (p *streamProduct) is(release, arch string, match map[string]string) bool {
	a := p.attributes
	version, _, _ := strings.Cut(a["version"], " ") // "24.04 LTS"
	if a["arch"] != arch || release != a["release"] && release != version {
		return false
	}
	for name, value := range match {
		if have, ok := a[name]; ok && have != strings.ReplaceAll(value, "{release}", version) {
			return false
		}
	}
	return true
}

func chooseItems(items map[string]streamItem, wanted map[string]string) (map[string]streamItem, bool) {
	out := make(map[string]streamItem)
	for name, fileType := range wanted {
		for _, key := range slices.Sorted(maps.Keys(items)) {
			if i := items[key]; i.FileType == fileType && inside(i.Path) {
				out[name] = i
			}
		}
	}
	return out, len(out) == len(wanted) && len(out) > 0
}
