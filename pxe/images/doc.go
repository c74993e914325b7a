// Package images keeps boot files by name: it fetches them from distributions, verifies them, and
// serves them from content-addressed stores.
//
//	store, err := images.OpenStore("/var/lib/boot")
//	fetcher := &images.Fetcher{Store: store}
//	image, err := fetcher.Fetch(ctx, images.Sources()[0], images.Request{Release: "12"}) // Debian
//	image.Name = "debian/12"
//	index, err := images.NewIndex([]images.Image{image})
//	server, err := pxe.New(pxe.Config{Resolver: profiles, Files: store.FS(index)})
//
// A profile then names "debian/12/kernel" and "debian/12/initrd".
//
// # Sources
//
// A Source is data: where a distribution keeps its files, and which signatures and checksums lead
// to them. Sources returns those that are known; others are written in the same words.
// Simplestreams, lists of checksums, .treeinfo, detached signatures, archives and ISO images are
// understood. Fetcher.Directory and Fetcher.ISO take files of this machine.
//
// Nothing is stored under its name before it was verified. What fails is a *VerifyError with the
// URL, and what was fetched before stays as it was. Downloads go on where they ended, also after a
// kill, and only with the same version of the file.
//
// # Racks
//
// A Cache is an fs.FS that fetches from elsewhere what a client asks for: one fetch, however many
// clients. They read while it fills, each piece only after its hash was verified.
//
//	cache, err := images.OpenCache(images.CacheConfig{Dir: dir, Suppliers: neighborsAndRegion})
//	err = cache.Use(index, []string{"debian/12/kernel", "debian/12/initrd"}) // kept, and fetched ahead
//	go cache.Serve(ctx)
//	server, err := pxe.New(pxe.Config{Resolver: profiles, Files: cache})
//
// Content that no profile names and that was unused for longest makes room for new. Without a
// connection the cache serves all it has. A new version of an image takes the place of the old one
// when all its files have arrived.
//
// # Rules
//
// All types may be used concurrently. A directory belongs to one Store or Cache at a time. Absent
// names are fs.ErrNotExist.
package images
