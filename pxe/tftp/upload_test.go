package tftp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/tftp"
)

// taker keeps what clients write, up to limit bytes, and serves nothing.
type taker struct {
	limit int64
	full  error // of Done

	mu    sync.Mutex
	files map[string][]byte
	ends  []error
}

func (k *taker) Open(context.Context, *tftp.Request) (tftp.File, error) {
	return tftp.File{}, fs.ErrNotExist
}

func (k *taker) Create(_ context.Context, r *tftp.Request) (tftp.Upload, error) {
	if r.Name == "forbidden" {
		return tftp.Upload{}, fs.ErrPermission
	}
	var data bytes.Buffer
	return tftp.Upload{Writer: &data, Limit: k.limit, Done: func(cause error) error {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.ends = append(k.ends, cause)
		if cause != nil || k.full != nil {
			return k.full
		}
		if k.files == nil {
			k.files = map[string][]byte{}
		}
		k.files[r.Name] = data.Bytes()
		return nil
	}}, nil
}

func (k *taker) has(name string, want []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	got, there := k.files[name]
	return there && bytes.Equal(got, want)
}

func packet(op, n int, data string) []byte {
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, uint16(op)), uint16(n)), data...)
}

// says returns the server's packets since the last call, each as op:number.
func (l *lab) says() string {
	var out []string
	b := make([]byte, 2000)
	for {
		_ = l.client.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, _, err := l.client.ReadFrom(b)
		if err != nil {
			return strings.Join(out, " ")
		}
		switch op := binary.BigEndian.Uint16(b); op {
		case 6:
			out = append(out, "6:"+strings.ReplaceAll(string(b[2:n]), "\x00", ","))
		default:
			out = append(out, fmt.Sprintf("%d:%d", op, binary.BigEndian.Uint16(b[2:])))
		}
	}
}

func (l *lab) send(packets ...[]byte) string {
	for _, p := range packets {
		_, _ = l.client.WriteTo(p, l.server.LocalAddr())
	}
	return l.says()
}

const wrq = "\x00\x02f\x00octet\x00"

func TestUpload(t *testing.T) {
	block := strings.Repeat("x", 512)
	for name, test := range map[string]struct {
		limit int64
		full  error
		steps []any // packets, or what is said
		file  []byte
		ended bool // with an error
	}{
		"one block":       {0, nil, []any{[]byte(wrq), "4:0", packet(3, 1, "hello"), "4:1"}, []byte("hello"), false},
		"empty":           {0, nil, []any{[]byte(wrq), "4:0", packet(3, 1, ""), "4:1"}, []byte{}, false},
		"repeated blocks": {0, nil, []any{[]byte(wrq), "4:0", packet(3, 1, block), "4:1", packet(3, 1, block), "4:1", packet(3, 2, "y"), "4:2", packet(3, 2, "y"), "4:2"}, []byte(block + "y"), false},
		"a request twice": {0, nil, []any{[]byte(wrq), "4:0", []byte(wrq), "", packet(3, 1, "a"), "4:1"}, []byte("a"), false},
		"options": {0, nil, []any{[]byte(wrq + "blksize\x008\x00windowsize\x002\x00tsize\x0017\x00"), "6:tsize,17,blksize,8,windowsize,2,",
			packet(3, 1, "01234567"), "", packet(3, 2, "89abcdef"), "4:2", packet(3, 3, "z"), "4:3"}, []byte("0123456789abcdefz"), false},
		"a gap": {0, nil, []any{[]byte(wrq + "blksize\x008\x00windowsize\x004\x00"), "6:blksize,8,windowsize,4,",
			packet(3, 1, "01234567"), "", packet(3, 3, "x"), "4:1", packet(3, 4, "x"), "", packet(3, 2, "z"), "4:2"}, []byte("01234567z"), false},
		"netascii":       {0, nil, []any{[]byte("\x00\x02f\x00netascii\x00"), "4:0", packet(3, 1, "a\r\nb\r\x00"), "4:1"}, []byte("a\nb\r"), false},
		"forbidden":      {0, nil, []any{[]byte("\x00\x02forbidden\x00octet\x00"), "5:2"}, nil, false},
		"announced size": {10, nil, []any{[]byte(wrq + "tsize\x0011\x00"), "5:3"}, nil, true},
		"size":           {511, nil, []any{[]byte(wrq), "4:0", packet(3, 1, block), "5:3"}, nil, true},
		"block size":     {0, nil, []any{[]byte(wrq), "4:0", packet(3, 1, block+"x"), "5:4"}, nil, true},
		"not kept":       {0, fs.ErrPermission, []any{[]byte(wrq), "4:0", packet(3, 1, ""), "5:2"}, nil, false},
		"client's error": {0, nil, []any{[]byte(wrq), "4:0", append(packet(5, 3, ""), 0), ""}, nil, true},
		"odd packets":    {0, nil, []any{[]byte(wrq), "4:0", []byte{0, 3}, "", packet(4, 7, ""), "", packet(6, 7, ""), "", packet(3, 1, ""), "4:1"}, []byte{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &taker{limit: test.limit, full: test.full}
				l := newLab(t, tftp.Config{Handler: k})
				for i := 0; i < len(test.steps); i += 2 {
					if got := l.send(test.steps[i].([]byte)); got != test.steps[i+1] {
						t.Errorf("%q is answered %s, want %s", test.steps[i], got, test.steps[i+1])
					}
				}
				time.Sleep(time.Minute)
				l.close()
				if k.has("f", test.file) != (test.file != nil) {
					t.Errorf("%q", k.files)
				}
				if len(k.ends) > 1 || len(k.ends) == 1 && (k.ends[0] != nil) != test.ended {
					t.Errorf("ended %v", k.ends)
				}
			})
		})
	}
}

// Without a handler that takes files, writes are refused, as before.
func TestWritesAreOffByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, tftp.Config{})
		if got := l.send([]byte(wrq)); got != "5:2" {
			t.Errorf("a write is answered %s", got)
		}
		l.close()
	})
}

// A client that stops is given up, and what it sent is thrown away. One that sent nothing, which
// may be forged, is answered three times.
func TestUploadOfASilentClient(t *testing.T) {
	for _, data := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			k := &taker{}
			l := newLab(t, tftp.Config{Handler: k})
			l.send([]byte(wrq))
			if data {
				l.send(packet(3, 1, strings.Repeat("x", 512)))
			}
			time.Sleep(time.Hour)
			if n := strings.Count(l.says(), "4:"); n > 2 && !data || n < 3 && data {
				t.Errorf("%d more answers, after data: %t", n, data)
			}
			x := <-l.transfers
			if !errors.Is(x.Err, tftp.ErrTimeout) || !x.Write || len(k.ends) != 1 || k.ends[0] == nil {
				t.Errorf("%+v, ended %v", x, k.ends)
			}
			l.close()
		})
	}
}

// Foreign clients write to the server, with and without options.
func TestForeignClientsWrite(t *testing.T) {
	data := randomBytes(1_000_000)
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program, pkg string
		args         func(port string) []string
	}{
		{"curl", "curl", func(p string) []string { return []string{"-s", "-S", "-T", file, "tftp://127.0.0.1:" + p + "/f"} }},
		{"curl", "curl", func(p string) []string {
			return []string{"-s", "-S", "--tftp-blksize", "1400", "-T", file, "tftp://127.0.0.1:" + p + "/f"}
		}},
		{"tftp", "tftp-hpa", func(p string) []string {
			return []string{"-m", "binary", "127.0.0.1", p, "-c", "put", file, "f"}
		}},
		{"atftp", "atftp", func(p string) []string {
			return []string{"--put", "--option", "blksize 1428", "--option", "windowsize 16", "--option", "tsize 0", "--local-file", file, "--remote-file", "f", "127.0.0.1", p}
		}},
	} {
		for _, single := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s-%t", c.program, single), func(t *testing.T) {
				netlab.Require(t, netlab.Program(c.program, c.pkg))
				conn, err := tftp.Listen("127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
				k := &taker{}
				serve(t, tftp.Config{Handler: k, SinglePort: single}, conn)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if out, err := exec.CommandContext(ctx, c.program, c.args(port)...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if !k.has("f", data) {
					t.Errorf("%d bytes arrived of %d", len(k.files["f"]), len(data))
				}
			})
		}
	}
}

// FuzzUpload sends arbitrary packets to a server that takes files.
func FuzzUpload(f *testing.F) {
	f.Add([]byte(wrq + "|\x00\x03\x00\x01hello"))
	f.Add([]byte(wrq + "blksize\x008\x00windowsize\x004\x00tsize\x0017\x00|\x00\x03\x00\x0101234567|\x00\x03\x00\x03x|\x00\x03\x00\x02y"))
	f.Add([]byte("\x00\x02f\x00netascii\x00|\x00\x03\x00\x01a\r\nb\r|\x00\x05\x00\x03full\x00"))
	f.Fuzz(func(t *testing.T, input []byte) {
		synctest.Test(t, func(t *testing.T) {
			k := &taker{limit: 4096}
			l := newLab(t, tftp.Config{Handler: k, Silence: time.Second})
			for _, p := range bytes.SplitN(input, []byte("|"), 20) {
				_, _ = l.client.WriteTo(p, l.server.LocalAddr())
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Minute)
			l.close()
			for name, data := range k.files {
				if len(data) > 4096 {
					t.Errorf("%q has %d bytes", name, len(data))
				}
			}
			if l.net.sent > 20_000 {
				t.Errorf("%d packets for %d bytes of input", l.net.sent, len(input))
			}
		})
	})
}
