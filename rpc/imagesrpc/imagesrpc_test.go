package imagesrpc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/imagesrpc"
)

const piece = 1 << 10

func file(data []byte) images.File {
	f := images.File{Name: "kernel", Size: int64(len(data)), SHA256: sha256.Sum256(data), Piece: piece}
	for at := 0; at < len(data); at += piece {
		f.Pieces = append(f.Pieces, sha256.Sum256(data[at:min(at+piece, len(data))]))
	}
	return f
}

func TestObjectsArriveAsAnIndex(t *testing.T) {
	f := file([]byte("kernel"))
	objects, err := imagesrpc.Objects([]images.Image{{Name: "debian/12", Files: []images.File{f}}, {Name: "."}}, []netip.Addr{netip.MustParseAddr("192.0.2.2")})
	if err != nil {
		t.Fatal(err)
	}
	objects["later/kind"] = []byte("?")
	var got *images.Index
	var near []netip.Addr
	apply := imagesrpc.Apply(func(x *images.Index, neighbors []netip.Addr) error { got, near = x, neighbors; return nil })
	if err := apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	if g, ok := got.File("debian/12/kernel"); !ok || g.SHA256 != f.SHA256 || len(near) != 1 {
		t.Errorf("got %+v, neighbors %v", got, near)
	}
	for _, bad := range []string{"{", `{"name":"../x"}`, `{"name":"a","files":[{"name":"k","size":5,"piece":1}]}`} {
		if err := apply(t.Context(), map[string][]byte{"image/a": []byte(bad)}); err == nil {
			t.Errorf("%s was applied", bad)
		}
	}
}

func TestPiecesFromTheRegion(t *testing.T) {
	data := bytes.Repeat([]byte("boot"), 1000)
	f := file(data)
	var methods rpc.Methods
	imagesrpc.Offer(&methods, func(h images.Hash, i int) ([]byte, error) {
		if h != f.SHA256 || i >= len(f.Pieces) {
			return nil, fs.ErrNotExist
		}
		return data[i*piece : min((i+1)*piece, len(data))], nil
	})
	ask := imagesrpc.FromRegion(&methods)
	for i := range f.Pieces {
		if got, err := ask(t.Context(), f, i); err != nil || !f.Verify(i, got) {
			t.Errorf("piece %d: %d bytes, error %v", i, len(got), err)
		}
	}
	if _, err := ask(t.Context(), images.File{}, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: error %v", err)
	}
}

// Neighbors are asked one after the other; one that fails or sends what is wrong rests.
func TestPiecesFromNeighbors(t *testing.T) {
	data := bytes.Repeat([]byte("boot"), 1000)
	f := file(data)
	asked := map[string]int{}
	answer := func(name string, piece func(images.Hash, int) ([]byte, error)) http.Handler {
		mux := http.NewServeMux()
		mux.Handle(imagesrpc.Pattern, imagesrpc.Handler(func(h images.Hash, i int) ([]byte, error) {
			asked[name]++
			return piece(h, i)
		}))
		return mux
	}
	hosts := map[string]http.Handler{
		"192.0.2.1:5248": answer("none", func(images.Hash, int) ([]byte, error) { return nil, fs.ErrNotExist }),
		"192.0.2.2:5248": answer("bad", func(images.Hash, int) ([]byte, error) { return make([]byte, piece), nil }),
		"192.0.2.3:5248": answer("good", func(h images.Hash, i int) ([]byte, error) {
			return data[i*piece : min((i+1)*piece, len(data))], nil
		}),
	}
	n := &imagesrpc.Neighbors{
		Port: 5248, Client: &http.Client{Transport: network(hosts)},
		Addrs: func() (out []netip.Addr) {
			for i := range 4 { // the last does not answer
				out = append(out, netip.AddrFrom4([4]byte{192, 0, 2, byte(4 - i)}))
			}
			return []netip.Addr{out[3], out[2], out[0], out[1]}
		},
	}
	for i := range f.Pieces {
		if got, err := n.Piece(t.Context(), f, i); err != nil || !f.Verify(i, got) {
			t.Errorf("piece %d: %d bytes, error %v", i, len(got), err)
		}
	}
	if asked["none"] != len(f.Pieces) || asked["bad"] != 1 || asked["good"] != len(f.Pieces) {
		t.Errorf("asked %v", asked)
	}
	delete(hosts, "192.0.2.3:5248")
	if _, err := n.Piece(t.Context(), f, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none has it: error %v", err)
	}
}

// network answers requests by host.
type network map[string]http.Handler

// RoundTrip implements http.RoundTripper.
func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	h := n[r.URL.Host]
	if h == nil {
		return nil, fmt.Errorf("%s does not answer", r.URL.Host)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

func FuzzApply(f *testing.F) {
	f.Add("image/debian/12", []byte(`{"name":"debian/12","files":[{"name":"kernel","size":0,"piece":1,"sha256":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}]}`))
	f.Add("neighbors", []byte(`["192.0.2.1"]`))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		err := imagesrpc.Apply(func(x *images.Index, _ []netip.Addr) error {
			for _, m := range x.Images() {
				if err := m.Check(); err != nil {
					t.Error(err)
				}
			}
			return nil
		})(context.Background(), map[string][]byte{key: data})
		_ = err // refused or applied
	})
}
