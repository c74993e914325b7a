package images

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

// A Source describes where a distribution keeps its boot files and how they are verified. It is
// plain data, equal in JSON, YAML and Go. In its paths, {release} and {arch} are replaced by the
// source's words for them, and {branch} by the first two numbers of the release.
type Source struct {
	// Name is the first part of the names of its images, such as "debian".
	Name string `json:"name" yaml:"name"`
	// Base is the URL that paths begin at; a Request may name a mirror in its place.
	Base string `json:"base" yaml:"base"`
	// Releases and Arches are the source's words for releases and architectures; what is not in
	// them is used as it is.
	Releases map[string]string `json:"releases,omitempty" yaml:"releases,omitempty"`
	Arches   map[string]string `json:"arches,omitempty" yaml:"arches,omitempty"`
	// Latest is the release of a request without one.
	Latest string `json:"latest,omitempty" yaml:"latest,omitempty"`
	// Index is the path of a signed simplestreams index (.sjson). With it, Files are file types,
	// and Match are attributes that a product has to have.
	Index string            `json:"index,omitempty" yaml:"index,omitempty"`
	Match map[string]string `json:"match,omitempty" yaml:"match,omitempty"`
	// Documents lead from a signature to the checksums of the files: each one is verified by its
	// own signature or by the checksums of the one before it.
	Documents []Document `json:"documents,omitempty" yaml:"documents,omitempty"`
	// Sums are SHA-256 by path, for sources without documents, such as one ISO image.
	Sums map[string]string `json:"sums,omitempty" yaml:"sums,omitempty"`
	// Files are paths by name: {"kernel": "dists/.../linux"}.
	Files map[string]string `json:"files,omitempty" yaml:"files,omitempty"`
	// Archive is the path of an ISO 9660 image (.iso) or a tar.gz that holds Files. Without Files,
	// kernel and initrd of an ISO image are found where distributions keep them.
	Archive string `json:"archive,omitempty" yaml:"archive,omitempty"`
	// Signature is the ending of the name of a file's own signature, such as ".sig". Without one,
	// files are verified by checksums.
	Signature string `json:"signature,omitempty" yaml:"signature,omitempty"`
	// Keys are the names of OpenPGP keyrings, see Fetcher.Keys, in the order to try them, and Cure
	// says how to get them.
	Keys []string `json:"keys,omitempty" yaml:"keys,omitempty"`
	// Armor holds further keys themselves, armored.
	Armor string `json:"armor,omitempty" yaml:"armor,omitempty"`
	Cure  string `json:"cure,omitempty" yaml:"cure,omitempty"`
}

// A Document lists checksums.
type Document struct {
	Path string `json:"path" yaml:"path"`
	// Signed says that the document is clear-signed; Signature is the path of its detached
	// signature. Without either, it is verified by the document before it, and the first one by TLS
	// alone.
	Signed    bool   `json:"signed,omitempty" yaml:"signed,omitempty"`
	Signature string `json:"signature,omitempty" yaml:"signature,omitempty"`
	// Line is a line that the document has to have, such as its release: a mirror may send a
	// document of another release, whose signature is good. If empty, none is needed.
	Line string `json:"line,omitempty" yaml:"line,omitempty"`
}

// A Request names what to fetch from a source.
type Request struct {
	// Release is a release of the source; empty means Source.Latest.
	Release string
	// Arch is the architecture in Debian's words; empty means amd64.
	Arch string
	// Mirror takes the place of Source.Base. If empty, Source.Base is used.
	Mirror string
	// Unsigned permits a source whose files no signature covers over plain HTTP, where any host on
	// the way can replace file and checksum alike.
	Unsigned bool
}

// expanded is a source with the request filled in.
type expanded struct {
	Source
	request Request
	base    *url.URL
	release string // in the source's words
	arch    string
}

// Check reports why a source cannot answer a request, as far as that is known without asking it.
func (s Source) Check(q Request) error {
	_, err := s.expand(q)
	return err
}

func (s Source) expand(q Request) (expanded, error) {
	q.Release, q.Arch = cmp.Or(q.Release, s.Latest), cmp.Or(q.Arch, "amd64")
	e := expanded{Source: s, request: q, release: cmp.Or(s.Releases[q.Release], q.Release), arch: cmp.Or(s.Arches[q.Arch], q.Arch)}
	for what, word := range map[string]string{"release": e.release, "architecture": e.arch} {
		if word != "" && (!ValidName(word) || strings.Contains(word, "/")) {
			return e, fmt.Errorf("images: %s: %s %q cannot be part of a URL", s.Name, what, word)
		}
	}
	if q.Release == "" && strings.Contains(fmt.Sprint(s), "{release}") {
		return e, fmt.Errorf("images: %s: no release named, want one such as %s/%s", s.Name, s.Name, cmp.Or(firstKey(s.Releases), "1.0"))
	}
	base, err := url.Parse(e.fill(cmp.Or(q.Mirror, s.Base)))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return e, fmt.Errorf("images: %s: %q is not an http or https URL", s.Name, cmp.Or(q.Mirror, s.Base))
	}
	e.base = base
	return e, e.check()
}

func firstKey(m map[string]string) string {
	keys := slices.Sorted(maps.Keys(m))
	if len(keys) == 0 {
		return ""
	}
	return keys[len(keys)-1]
}

// signed reports whether a signature covers all that the source sends.
func (e expanded) signed() bool {
	if e.Index != "" {
		return strings.HasSuffix(e.Index, ".sjson")
	}
	return e.Signature != "" || len(e.Documents) > 0 && (e.Documents[0].Signed || e.Documents[0].Signature != "")
}

func (e expanded) check() error {
	switch {
	case e.Index == "" && len(e.Documents) == 0 && len(e.Sums) == 0 && e.Signature == "":
		return fmt.Errorf("images: %s: nothing verifies its files; give it documents, sums or a signature", e.Name)
	case len(e.Files) == 0 && !strings.HasSuffix(e.Archive, ".iso"):
		return fmt.Errorf("images: %s: no files named", e.Name)
	case e.signed() && len(e.Keys) == 0 && e.Armor == "":
		return fmt.Errorf("images: %s: has signatures, but no keys to check them", e.Name)
	case !e.signed() && len(e.Sums) == 0 && e.base.Scheme == "http" && !e.request.Unsigned:
		return fmt.Errorf("images: %s: no signature covers its checksums, and %s is not encrypted; use a mirror with https", e.Name, e.base.Redacted())
	}
	for name := range e.Files {
		if !ValidName(name) {
			return fmt.Errorf("images: %s: file name %q is no path that can be served", e.Name, name)
		}
	}
	return nil
}

// fill replaces the words of a path.
func (e expanded) fill(text string) string {
	major, minor, _ := strings.Cut(e.release, ".")
	minor, _, _ = strings.Cut(minor, ".")
	return strings.NewReplacer("{release}", e.release, "{branch}", major+"."+minor, "{arch}", e.arch).Replace(text)
}

// url returns the URL of a path below the base.
func (e expanded) url(name string) (string, error) {
	if !inside(name) {
		return "", fmt.Errorf("images: %s: path %q leads out of %s", e.Name, name, e.base)
	}
	return e.base.JoinPath(name).String(), nil
}

// inside reports whether a path stays below its base.
func inside(name string) bool {
	clean := path.Clean(name)
	return name != "" && !path.IsAbs(name) && clean != ".." && !strings.HasPrefix(clean, "../") && !strings.ContainsAny(name, "?#\\\x00")
}

// ParseName splits the name of an image: FAMILY/RELEASE or FAMILY/RELEASE/ARCH.
func ParseName(name string) (family string, q Request, err error) {
	if !ValidName(name) || name == "." {
		return "", q, fmt.Errorf("images: name %q is no path that can be served, want one such as debian/12", name)
	}
	parts := strings.Split(name, "/")
	if len(parts) > 3 {
		return "", q, errors.New("images: name " + name + " has more than three parts, want FAMILY/RELEASE or FAMILY/RELEASE/ARCH")
	}
	parts = append(parts, "", "")
	return parts[0], Request{Release: parts[1], Arch: parts[2]}, nil
}
