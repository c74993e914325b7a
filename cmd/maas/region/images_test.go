package region

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// await waits, in the time of the wall, until the image is as it should be.
func (r *Region) await(t *testing.T, name string, is func(inventory.BootImage) bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, err := r.inv.BootImages.Find(t.Context(), name)
		ok(t, err)
		if is(b) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not in time: %+v", b)
		}
	}
}

// Mirrors are reached through the site's external proxy, except those that no_proxy has. Content
// that the disk lost is fetched again by the next start.
func TestImagesAreFetchedThroughTheProxy(t *testing.T) {
	kernel := bytes.Repeat([]byte("kernel"), 1000)
	var byProxy, direct atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		byProxy.Add(1)
		w.Write(kernel)
	}))
	defer proxy.Close()
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		direct.Add(1)
		w.Write(kernel)
	}))
	defer mirror.Close()
	dir := t.TempDir()
	r, _ := openedIn(t, dir)
	ok(t, r.inv.Settings.Set(t.Context(), setting.HTTPProxy, proxy.URL))
	ok(t, r.inv.Settings.Set(t.Context(), setting.NoProxy, "127.0.0.1 other.example"))
	serve := func(until func()) {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Serve(ctx, Sockets{}) }()
		until()
		stop()
		ok(t, <-done)
	}
	source := func(base string) inventory.ImageSpec {
		return inventory.ImageSpec{Source: &images.Source{
			Name: "own", Base: base, Files: map[string]string{"kernel": "k"}, Sums: map[string]string{"k": fmt.Sprintf("%x", sha256.Sum256(kernel))},
		}}
	}
	far := inventory.BootImage{Name: "far/1", Spec: source("http://mirror.invalid"), Requested: time.Now()}
	serve(func() {
		_, err := r.inv.BootImages.Create(t.Context(), far)
		ok(t, err)
		r.await(t, "far/1", inventory.BootImage.Ready)
		if byProxy.Load() != 1 || direct.Load() != 0 {
			t.Errorf("%d requests by the proxy, %d without", byProxy.Load(), direct.Load())
		}
		near := inventory.BootImage{Name: "near/1", Spec: source(mirror.URL), Requested: time.Now()}
		near.Spec.Source.Sums["k"] = strings.Repeat("0", 64) // other content, so that the store does not have it
		_, err = r.inv.BootImages.Create(t.Context(), near)
		ok(t, err)
		r.await(t, "near/1", func(b inventory.BootImage) bool { return b.Problem != "" })
		if direct.Load() == 0 {
			t.Error("a host of no_proxy was reached by the proxy")
		}
	})
	blob := filepath.Join(dir, ImagesDir, "sha256", fmt.Sprintf("%x", sha256.Sum256(kernel)))
	ok(t, os.Remove(blob))
	serve(func() {
		r.await(t, "far/1", func(b inventory.BootImage) bool { return r.images.store.Has(b.Content) })
	})
	// A start does not read a directory again that has not changed.
	if last := r.images.lastTaken(t.Context()); last["."] == "" {
		t.Error("the directory would be read again")
	}
	// One that is empty may not be mounted: what it had stays.
	ok(t, r.images.take(t.Context(), ".", fstest.MapFS{}))
	r.await(t, ".", inventory.BootImage.Ready)
	// A directory that the configuration no longer names is forgotten.
	r.images.local = nil
	serve(func() {
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if _, err := r.inv.BootImages.Find(t.Context(), "."); err != nil {
				return
			}
			if time.Now().After(end) {
				t.Fatal("the files of an earlier configuration stay")
			}
		}
	})
}
