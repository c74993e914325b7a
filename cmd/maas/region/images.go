package region

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/rpc/imagesrpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

// TaskImages is the task of the site that fetches images.
const TaskImages = "images"

// imageService fetches images, and gives them to racks.
type imageService struct {
	region  *Region
	dir     string
	store   *images.Store
	fetcher images.Fetcher
	local   map[string]fs.FS // directories of the configuration, by name of their image

	mu       sync.Mutex // guards the fields below
	files    map[images.Hash]images.File
	progress map[string]images.Progress // of fetches, by name of the image
}

// ImagesDir is the directory of boot files in Config.Dir.
const ImagesDir = "images"

func newImageService(r *Region, cfg Config) (*imageService, error) {
	dir := filepath.Join(cfg.Dir, ImagesDir)
	store, err := images.OpenStore(dir)
	if err != nil {
		return nil, err
	}
	s := &imageService{region: r, dir: dir, store: store, local: cfg.Files, files: make(map[images.Hash]images.File), progress: make(map[string]images.Progress)}
	s.fetcher = images.Fetcher{Store: store, Client: cfg.ImageClient}
	if cfg.ImageClient == nil {
		s.fetcher.Client = images.NewClient(s.proxyFor)
	}
	imagesrpc.Offer(&r.methods, s.piece)
	return s, nil
}

// piece reads a piece for a rack.
func (s *imageService) piece(h images.Hash, i int) ([]byte, error) {
	s.mu.Lock()
	f, known := s.files[h]
	s.mu.Unlock()
	if !known {
		return nil, fs.ErrNotExist
	}
	data, err := s.store.Piece(f, i)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.region.log.Error("boot file not read", "file", f.Name, "err", err)
	}
	return data, err
}

// proxyFor returns the proxy for a request to a mirror: the site's external one, except for what
// no_proxy has, or else what the environment names.
func (s *imageService) proxyFor(req *http.Request) (*url.URL, error) {
	proxy, err := s.region.inv.Settings.Get(req.Context(), setting.HTTPProxy)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if proxy == "" {
		return http.ProxyFromEnvironment(req)
	}
	direct, err := s.region.inv.Settings.Get(req.Context(), setting.NoProxy)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	direct = strings.Join(strings.FieldsFunc(direct, func(r rune) bool { return r == ' ' || r == ',' }), ",")
	cfg := httpproxy.Config{HTTPProxy: proxy, HTTPSProxy: proxy, NoProxy: direct}
	return cfg.ProxyFunc()(req.URL)
}

// publish sends racks the images after each change, until ctx ends.
func (s *imageService) publish(ctx context.Context) error {
	return s.follow(ctx, func() error {
		all, err := s.region.inv.BootImages.List(ctx)
		if err != nil {
			return err
		}
		racks, err := s.region.inv.Racks.List(ctx)
		if err != nil {
			return err
		}
		var ready []images.Image
		files := make(map[images.Hash]images.File)
		for _, b := range all {
			if b.Ready() {
				ready = append(ready, b.Content)
			}
			for _, f := range b.Content.Files {
				files[f.SHA256] = f
			}
		}
		s.mu.Lock()
		s.files = files
		s.mu.Unlock()
		for _, rack := range racks {
			objects, err := imagesrpc.Objects(ready, plan.ImageNeighbors(racks, rack))
			if err != nil {
				return err
			}
			s.region.rpc.State(rack.Name).Set(imagesrpc.Topic, objects)
		}
		return nil
	}, kinds.BootImage, kinds.Rack)
}

// follow calls do at once, after each change of the kinds, and again after a failure.
func (s *imageService) follow(ctx context.Context, do func() error, about ...string) error {
	changed := make(chan struct{}, 1)
	tell(changed)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, err := s.region.inv.Revision(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	lost := make(chan error, 1)
	watching.Go(func() {
		for change, err := range s.region.inv.Watch(ctx, from) {
			if err != nil {
				lost <- err
				return
			}
			if slices.Contains(about, change.Kind) {
				tell(changed)
			}
		}
	})
	var again <-chan time.Time // nil = the last call succeeded
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-lost:
			return ended(ctx, err) // the task starts again, with the state of then
		case <-changed:
		case <-again:
		}
		again = nil
		if err := do(); err != nil && ctx.Err() == nil {
			s.region.log.Error("images not brought up to date", "retry_in", imagesAgain, "err", err)
			again = time.After(imagesAgain)
		}
	}
}

// imagesAgain is the pause after a failure.
const imagesAgain = 30 * time.Second

// fetch brings images up to date that were requested since they were fetched, until ctx ends.
func (s *imageService) fetch(ctx context.Context) error {
	return s.each(ctx, func(b inventory.BootImage) error {
		if b.Fetched.After(b.Requested) {
			return nil
		}
		return s.one(ctx, b)
	})
}

// complete fetches content that another region of the site fetched, or that the disk lost, until
// ctx ends.
func (s *imageService) complete(ctx context.Context) error {
	return s.each(ctx, func(b inventory.BootImage) error {
		if !b.Ready() || s.store.Has(b.Content) {
			return nil
		}
		source, q, err := b.What()
		if err == nil {
			_, err = s.fetcher.Fetch(ctx, source, q)
		}
		if err == nil && !s.store.Has(b.Content) {
			err = fmt.Errorf("%s: its source has another version now; maas image add %s takes it", b.Name, b.Name)
		}
		return err
	})
}

// each calls do for all images that have a source, at once and after each change.
func (s *imageService) each(ctx context.Context, do func(inventory.BootImage) error) error {
	return s.follow(ctx, func() error {
		all, err := s.region.inv.BootImages.List(ctx)
		if err != nil {
			return err
		}
		var errs []error
		for _, b := range all {
			if !b.Spec.Local {
				errs = append(errs, do(b))
			}
		}
		return errors.Join(errs...)
	}, kinds.BootImage)
}

// one fetches one image and records how it ended. What was fetched before stays if that failed.
func (s *imageService) one(ctx context.Context, b inventory.BootImage) error {
	source, q, err := b.What()
	if err == nil {
		fetcher := s.fetcher
		fetcher.Progress = func(p images.Progress) { s.note(b.Name, p) }
		s.note(b.Name, images.Progress{Total: -1})
		defer s.forget(b.Name)
		var m images.Image
		if m, err = fetcher.Fetch(ctx, source, q); err == nil {
			if m.Name = b.Name; !sameContent(m, b.Content) {
				b.Content = m
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	b.Problem, b.Fetched = "", time.Now()
	if !b.Fetched.After(b.Requested) { // by the clock of another region, or it would be fetched for ever
		b.Fetched = b.Requested.Add(time.Microsecond)
	}
	if err != nil {
		b.Problem = strings.TrimPrefix(err.Error(), "images: ")
		s.region.log.Warn("image not fetched", "file", b.Name, "err", err)
	} else {
		s.region.log.Info("image fetched", "file", b.Name, "bytes", b.Content.Size())
	}
	_, err = s.region.inv.BootImages.Update(ctx, b)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was removed meanwhile
	}
	return err
}

func sameContent(a, b images.Image) bool {
	return a.Version == b.Version && slices.EqualFunc(a.Files, b.Files, func(a, b images.File) bool { return a.Name == b.Name && a.SHA256 == b.SHA256 })
}

func (s *imageService) note(name string, p images.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress[name] = p
}

// fetching returns the name of an image that is being fetched; "" = none is.
func (s *imageService) fetching() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.progress {
		return name
	}
	return ""
}

func (s *imageService) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.progress, name)
}

// collectAfter is the age from which content that no image has is removed: content that is younger
// may belong to an image that is being fetched.
const collectAfter = time.Hour

// collect removes content that no image has.
func (s *imageService) collect(ctx context.Context, age time.Duration) (freed int64, err error) {
	all, err := s.region.inv.BootImages.List(ctx)
	if err != nil {
		return 0, err
	}
	var keep []images.Image
	for _, b := range all {
		keep = append(keep, b.Content)
	}
	return s.store.GC(keep, age)
}
