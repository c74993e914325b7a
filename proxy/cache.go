package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// CacheConfig says where and what a cache keeps.
type CacheConfig struct {
	// Dir holds the cache. It is made when missing, and belongs to one cache of one process.
	Dir string
	// Limit is the most bytes on disk. Zero means 20 GB, but at most half of the cache's present
	// size and the free space together.
	Limit int64
	// MinFree is the free space of the disk, in bytes, below which nothing more is kept: responses
	// then pass through. Zero means a twentieth of the disk, but at most 1 GiB; less than zero sets
	// no bound.
	MinFree int64
	// MaxObject is the size in bytes from which on bodies are passed on and not kept. Zero means
	// half of the limit.
	MaxObject int64
	// Rules add knowledge about URLs that responses do not carry; the first that matches counts. If
	// nil, [PackageRules] are used.
	Rules []Rule
	// Idle is the longest pause of an origin in the middle of a body. Zero means a minute.
	Idle time.Duration
	// Log receives damage and disk errors. Nil discards.
	Log *slog.Logger
}

// A Cache is a shared HTTP cache on disk (RFC 9111). Its methods may be called concurrently.
type Cache struct {
	store     *objects.Store
	log       *slog.Logger
	faults    *bounds.Log // for lines that a request causes
	rules     []compiledRule
	maxObject int64
	idle      time.Duration
	stats     counters
	full      pause // the disk would not take more

	ctx     context.Context // ends what runs apart from requests, see Close
	stop    context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	groups    map[string]*fetchGroup // by key: at most one fetch of each URL is shared
	downloads map[*download]struct{} // all bodies that come in
}

const (
	defaultLimit = 20 << 30
	defaultIdle  = time.Minute
)

// OpenCache opens the cache in a directory, reading the description of each object and no body.
func OpenCache(cfg CacheConfig) (*Cache, error) {
	rules := cfg.Rules
	if rules == nil {
		rules = PackageRules()
	}
	compiled, err := compileRules(rules)
	if err != nil {
		return nil, err
	}
	if cfg.Dir == "" {
		return nil, errors.New("proxy: cache: no directory is given")
	}
	store, err := openStore(cfg.Dir, cfg.Limit)
	if err != nil {
		return nil, fmt.Errorf("proxy: cache %s: %w", cfg.Dir, err)
	}
	keepFree(store, cfg.Dir, cfg.MinFree)
	c := &Cache{
		store: store, log: cfg.Log, rules: compiled, groups: make(map[string]*fetchGroup), downloads: make(map[*download]struct{}),
		maxObject: cmp.Or(max(cfg.MaxObject, 0), store.Limit()/2), idle: cmp.Or(max(cfg.Idle, 0), defaultIdle),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.faults = bounds.NewLog(c.log, faultLines)
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c, nil
}

func openStore(dir string, limit int64) (*objects.Store, error) {
	if limit != 0 {
		return objects.Open(dir, limit)
	}
	store, err := objects.Open(dir, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	// What the cache has already counts as free, or each restart would shrink it.
	_, used := store.Usage()
	store.SetLimit(min(defaultLimit, (used+spaceFor(dir))/2))
	return store, nil
}

// faultLines is the rate of log lines of which any client may cause as many as it sends requests,
// as long as the disk fails.
var faultLines = bounds.Rate{Burst: 20, Every: 5 * time.Second}

// maxMinFree bounds the free space that is kept by default. Leases and state, which may be on the
// same disk, need a fraction of it.
const maxMinFree = 1 << 30

// keepFree keeps the cache from filling the disk.
func keepFree(store *objects.Store, dir string, least int64) {
	if least == 0 {
		least = min(sizeOf(dir)/20, maxMinFree)
	}
	if least > 0 {
		store.KeepFree(func() int64 { return spaceFor(dir) - least })
	}
}

// Close ends the fetches that still run, and releases the directory. No request may be in progress.
func (c *Cache) Close() error {
	c.mu.Lock()
	// Before the context ends, so that nothing starts between the two.
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.running.Wait()
	return c.store.Close()
}

// Idle reports whether no body comes in at the moment.
func (c *Cache) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.downloads) == 0 && len(c.groups) == 0
}

// start runs f apart from the request that caused it, unless the cache is being closed.
func (c *Cache) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.running.Go(f)
	return true
}

// Purge forgets what is kept of a URL, and returns how many responses that were.
func (c *Cache) Purge(rawURL string) int { return c.forget(keyOfString(rawURL)) }

// PurgePrefix forgets what is kept of all URLs that begin so, such as
// http://archive.example/ubuntu/dists/.
func (c *Cache) PurgePrefix(prefix string) int {
	match := func(url string) bool { return strings.HasPrefix(url, prefix) }
	c.outdate(match)
	return c.store.RemoveIf(match)
}

// forget removes what is kept of a URL.
func (c *Cache) forget(key string) int {
	c.outdate(func(url string) bool { return url == key })
	return c.store.RemoveURL(key)
}

// outdate makes that bodies that come in now are not kept, nor given to those who ask from now on.
func (c *Cache) outdate(match func(url string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Their readers get the body to its end; only the store refuses it.
	for d := range c.downloads {
		if match(d.meta.URL) {
			d.outdated.Store(true)
		}
	}
	maps.DeleteFunc(c.groups, func(key string, _ *fetchGroup) bool { return match(key) })
}

// stored is a response found in the store.
type stored struct {
	object  *objects.Object
	content *objects.Content
	fresh   rfc9111.Freshness
}

// find returns the kept response that a request selects, nil when there is none (RFC 9111, 4).
func (c *Cache) find(key string, r *http.Request) *stored {
	request, targeted := r.Header, isRouted(r)
	for _, o := range c.store.Lookup(key) {
		if !selects(o.Vary, request) {
			continue
		}
		// The store removes an object whose body is damaged; the request becomes a miss.
		content, err := c.store.Load(o, c.note)
		if err != nil {
			c.faults.Warn("damaged object removed", "err", err)
			continue
		}
		// What a CDN field allowed to keep is for routes only (RFC 9213).
		if content.Targeted && !targeted {
			continue
		}
		return &stored{o, content, content.Note.(rfc9111.Freshness)}
	}
	return nil
}

func selects(vary []objects.Field, request http.Header) bool {
	for _, f := range vary {
		if rfc9111.VaryValue(request, f.Name) != f.Value {
			return false
		}
	}
	return true
}

// note computes the freshness of a description once.
func (c *Cache) note(m *objects.Meta) any { return c.freshness(m) }

func (c *Cache) freshness(m *objects.Meta) rfc9111.Freshness {
	return c.applyRule(m.URL, m.Status, rfc9111.FreshnessOf(responseOf(m)))
}

func responseOf(m *objects.Meta) rfc9111.Response {
	return rfc9111.Response{Status: m.Status, Header: m.Header, Requested: m.Requested, Received: m.Received, Targeted: m.Targeted}
}

// pause is a time during which something is not tried. The zero value is over.
type pause struct {
	mu    sync.Mutex
	until time.Time
}

func (p *pause) begin(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(d)
}

func (p *pause) on() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.until)
}
