package images_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/gomaas/maas/pxe/images"
)

// A region fetches an image, and a rack serves it.
func Example() {
	const kernel = "the kernel"
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, kernel)
	}))
	defer mirror.Close()
	dir, err := os.MkdirTemp("", "images")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	// Sources() describes the distributions; this one is our own.
	source := images.Source{
		Name: "tools", Base: mirror.URL, Files: map[string]string{"kernel": "memtest.bin"},
		Sums: map[string]string{"memtest.bin": fmt.Sprintf("%x", sha256.Sum256([]byte(kernel)))},
	}
	store, err := images.OpenStore(dir + "/region")
	if err != nil {
		panic(err)
	}
	image, err := (&images.Fetcher{Store: store}).Fetch(context.Background(), source, images.Request{})
	if err != nil {
		panic(err)
	}
	image.Name = "tools/memtest"
	index, err := images.NewIndex([]images.Image{image})
	if err != nil {
		panic(err)
	}

	// Here the rack is in the same process; between hosts, package rpc/imagesrpc carries pieces.
	fromRegion := func(_ context.Context, f images.File, piece int) ([]byte, error) { return store.Piece(f, piece) }
	cache, err := images.OpenCache(images.CacheConfig{Dir: dir + "/rack", Suppliers: func() []images.Supplier { return []images.Supplier{fromRegion} }})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	if err := cache.Use(index, []string{"tools/memtest/kernel"}); err != nil {
		panic(err)
	}
	data, err := fs.ReadFile(cache, "tools/memtest/kernel")
	fmt.Println(string(data), err)

	source.Sums["memtest.bin"] = strings.Repeat("0", 64)
	_, err = (&images.Fetcher{Store: store}).Fetch(context.Background(), source, images.Request{})
	fmt.Println(strings.Contains(err.Error(), "memtest.bin: has the SHA-256"))
	// Output:
	// the kernel <nil>
	// true
}
