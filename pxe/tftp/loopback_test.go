package tftp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestSmoke(t *testing.T) {
	data := make([]byte, 5_000_000)
	rand.Read(data)
	s, err := New(Config{Handler: FS(fstest.MapFS{"a": {Data: data}, "e": {Data: data[:1024]}}), Events: func(tr Transfer) { t.Logf("%+v", tr) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		conn, err := Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Serve(ctx, conn) }()
		for _, c := range []Client{{}, {BlockSize: 1468}, {BlockSize: 1468, WindowSize: 16, AskSize: true}, {BlockSize: 512, WindowSize: 64}, {BlockSize: 65464, WindowSize: 3}} {
			var out bytes.Buffer
			st, err := c.Get(t.Context(), conn.LocalAddr().String(), "\\//a", &out)
			if err != nil || !bytes.Equal(out.Bytes(), data) {
				t.Fatal(err, out.Len(), st)
			}
			t.Logf("client %+v", st)
		}
		var out bytes.Buffer
		_, err = Client{}.Get(t.Context(), conn.LocalAddr().String(), "e", &out)
		if err != nil || out.Len() != 1024 {
			t.Fatal(err)
		}
		_, err = Client{}.Get(t.Context(), conn.LocalAddr().String(), "x", &out)
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}
