// Package imagesrpc carries images of boot files from a region to racks, and between racks.
//
//	objects, err := imagesrpc.Objects(all, neighbors)               // region
//	region.State("rack-1").Set(imagesrpc.Topic, objects)
//	imagesrpc.Offer(&methods, pieces)
//
//	rpc.Topic{Name: imagesrpc.Topic, Apply: imagesrpc.Apply(use)}    // rack
//	images.CacheConfig{Suppliers: func() []images.Supplier {
//		return []images.Supplier{neighbors.Piece, imagesrpc.FromRegion(conn)}
//	}}
//	pxe.Config{Also: map[string]http.Handler{imagesrpc.Pattern: imagesrpc.Handler(cache.Piece)}}
//
// The topic has the names and hashes; content travels by pieces, each of which the rack verifies.
// So a rack takes pieces from other racks over plain HTTP, where any host may have put them.
package imagesrpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/rpc"
)

// Topic is the rpc topic.
const Topic = "images"

const (
	imagePrefix  = "image/"
	neighborsKey = "neighbors"
)

// Objects returns the topic's objects: images, and the addresses of the racks that one rack asks
// before its region.
func Objects(all []images.Image, neighbors []netip.Addr) (map[string][]byte, error) {
	objects := make(map[string][]byte, len(all)+1)
	if len(neighbors) > 0 {
		data, err := json.Marshal(neighbors)
		if err != nil {
			return nil, fmt.Errorf("imagesrpc: %s: %w", neighborsKey, err)
		}
		objects[neighborsKey] = data
	}
	for _, m := range all {
		data, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("imagesrpc: %s: %w", m.Name, err)
		}
		objects[imagePrefix+m.Name] = data
	}
	return objects, nil
}

// Apply returns the Apply of the topic. Use receives each whole content.
func Apply(use func(x *images.Index, neighbors []netip.Addr) error) func(context.Context, map[string][]byte) error {
	return func(_ context.Context, objects map[string][]byte) error {
		var all []images.Image
		var neighbors []netip.Addr
		for key, data := range objects {
			if key == neighborsKey {
				if err := json.Unmarshal(data, &neighbors); err != nil {
					return fmt.Errorf("imagesrpc: %s: %w", key, err)
				}
			}
			if !strings.HasPrefix(key, imagePrefix) {
				continue // of a newer region
			}
			var m images.Image
			if err := json.Unmarshal(data, &m); err != nil {
				return fmt.Errorf("imagesrpc: %s: %w", key, err)
			}
			all = append(all, m)
		}
		slices.SortFunc(all, func(a, b images.Image) int { return strings.Compare(a.Name, b.Name) })
		x, err := images.NewIndex(all)
		if err != nil {
			return fmt.Errorf("imagesrpc: %w", err)
		}
		return use(x, neighbors)
	}
}

// method is the method of regions.
const method = "images.piece"

type question struct {
	SHA256 images.Hash `json:"sha256"`
	Piece  int         `json:"piece"`
}

type answer struct {
	Data []byte `json:"data"`
}

// maxAnswers bounds the pieces that a region reads and sends at a time: each takes some ten
// megabytes of memory on its way, and fifty racks may ask at once. The others wait.
const maxAnswers = 16

// Offer lets racks ask for pieces. The function's error for content that the region does not have
// is fs.ErrNotExist.
func Offer(m *rpc.Methods, piece func(h images.Hash, i int) ([]byte, error)) {
	places := make(chan struct{}, maxAnswers)
	rpc.Offer(m, method, func(ctx context.Context, q question) (answer, error) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-ctx.Done():
			return answer{}, ctx.Err()
		}
		data, err := piece(q.SHA256, q.Piece)
		return answer{data}, err
	})
}

// pieceTime bounds the wait for a piece, of which each takes a third of a second at 100 Mbit/s.
const pieceTime = time.Minute

// FromRegion asks a region for pieces.
func FromRegion(c rpc.Caller) images.Supplier {
	return func(ctx context.Context, f images.File, i int) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, pieceTime)
		defer cancel()
		a, err := rpc.Do[answer](ctx, c, method, question{f.SHA256, i})
		return a.Data, err
	}
}

// Pattern is the path of Handler, for pxe.Config.Also.
const Pattern = piecePath + "{sha256}/{piece}"

const piecePath = "/image-pieces/"

// Handler answers other racks with the pieces that this one has. Machines may ask, too: what it
// sends is what they boot.
func Handler(piece func(h images.Hash, i int) ([]byte, error)) http.Handler {
	places := make(chan struct{}, maxAnswers) // each answer is in memory, and any host may ask
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, herr := images.ParseHash(r.PathValue("sha256"))
		i, ierr := strconv.Atoi(r.PathValue("piece"))
		if r.Method != http.MethodGet || herr != nil || ierr != nil {
			http.NotFound(w, r)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		case <-r.Context().Done():
			return
		}
		data, err := piece(h, i)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data) // an error means that the rack has gone, or asks another one
	})
}

// Neighbors asks other racks for pieces by HTTP.
type Neighbors struct {
	// Addrs returns the other racks that are near.
	Addrs func() []netip.Addr
	// Port is the port of their boot servers.
	Port int
	// Client sends the requests. If nil, it is one of NewClient.
	Client *http.Client

	mu   sync.Mutex
	rest map[netip.Addr]time.Time // until when a rack that failed is left out
}

// restFor bounds the time in which a rack that did not answer, or sent what was wrong, is left out.
const restFor = 30 * time.Second

// Piece is an images.Supplier. The error is fs.ErrNotExist if no neighbor has the piece.
func (n *Neighbors) Piece(ctx context.Context, f images.File, i int) ([]byte, error) {
	// A neighbor may be any host that took its address: no more than a piece is read.
	_, size := f.Extent(i)
	for _, a := range n.Addrs() {
		if n.resting(a) {
			continue
		}
		data, err := n.ask(ctx, a, f.SHA256, i, size)
		switch {
		case err == nil && f.Verify(i, data):
			return data, nil
		case errors.Is(err, fs.ErrNotExist): // it may have the next piece already
		case ctx.Err() != nil:
			return nil, ctx.Err()
		default:
			n.mu.Lock()
			if n.rest == nil {
				n.rest = make(map[netip.Addr]time.Time)
			}
			n.rest[a] = time.Now().Add(restFor)
			n.mu.Unlock()
		}
	}
	return nil, fs.ErrNotExist
}

func (n *Neighbors) resting(a netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Before(n.rest[a])
}

// neighborTime bounds the wait for a piece of a neighbor. The region is asked after it.
const neighborTime = 10 * time.Second

func (n *Neighbors) ask(ctx context.Context, a netip.Addr, h images.Hash, i int, size int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, neighborTime)
	defer cancel()
	url := fmt.Sprintf("http://%s%s%s/%d", netip.AddrPortFrom(a, uint16(n.Port)), piecePath, h, i)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := n.Client
	if client == nil {
		client = defaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, fs.ErrNotExist
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("imagesrpc: %s: %s", url, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, size+1))
}
