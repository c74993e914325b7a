package maasapi_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/store/inventory"
)

// Clients of MAAS find images with their files, those that were fetched alone, and their sources.
func TestBootResources(t *testing.T) {
	s := newSite(t)
	sum := images.Hash(sha256.Sum256([]byte("kernel")))
	content := images.Image{Version: "20260101", Files: []images.File{{Name: "kernel", Size: 6, SHA256: sum, Piece: 6, Pieces: []images.Hash{sum}}}}
	for _, b := range []inventory.BootImage{
		{Name: "debian/12/arm64", Content: content, Spec: inventory.ImageSpec{Mirror: "http://mirror.example/debian"}},
		{Name: "debian/13"}, {Name: ".", Content: content, Spec: inventory.ImageSpec{Local: true}},
	} {
		b.Requested = time.Now()
		if _, err := s.inv.BootImages.Create(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"boot-resources/": `[{"id":1,"type":"Synced","name":"debian/12","architecture":"arm64/generic","title":"debian/12/arm64","resource_uri":"/MAAS/api/2.0/boot-resources/1/"},` +
			`{"id":3,"type":"Uploaded","name":".","architecture":"amd64/generic","title":".","resource_uri":"/MAAS/api/2.0/boot-resources/3/"}]`,
		"boot-resources/1/": fmt.Sprintf(`"sets":{"20260101":{"version":"20260101","label":"stable","size":6,"complete":true,"progress":100,"files":{"kernel":{"filename":"kernel","filetype":"boot-kernel","sha256":"%s","size":6,"complete":true}}}}`, sum),
		"boot-sources/":     `"url":"http://mirror.example/debian","keyring_filename":"/usr/share/keyrings/debian-archive-keyring.gpg"`,
		"boot-sources/1/":   `"id":1,"url":"http://mirror.example/debian"`,
	} {
		if code, body := s.do("GET", base+path, nil); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	for _, absent := range []string{"boot-resources/9/", "boot-sources/9/", "boot-sources/3/"} {
		if code, body := s.do("GET", base+absent, nil); code != http.StatusNotFound {
			t.Errorf("%s: %d %s", absent, code, body)
		}
	}
}
