package pxe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/pxe/tftp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a server on loopback with its events.
type rig struct {
	t         *testing.T
	http      string // base URL
	tftp      string // address
	mu        sync.Mutex
	requests  []pxe.Request
	resolve   func(pxe.Request) (pxe.Profile, error)
	events    chan pxe.Event
	identify  map[netip.Addr]net.HardwareAddr
	described pxe.Clients
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, events: make(chan pxe.Event, 100), identify: map[netip.Addr]net.HardwareAddr{}}
	r.resolve = func(pxe.Request) (pxe.Profile, error) {
		return pxe.Profile{Name: "p", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "quiet {done}"}, nil
	}
	dir := t.TempDir()
	for name, size := range map[string]int{"vmlinuz": 300_000, "initrd": 1000} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte{'x'}, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := tftp.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := pxe.New(pxe.Config{
		Resolver: pxe.ResolverFunc(func(_ context.Context, q pxe.Request) (pxe.Profile, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.requests = append(r.requests, q)
			return r.resolve(q)
		}),
		Files:   os.DirFS(dir),
		Loaders: fstest.MapFS{"shimx64.efi": {Data: []byte("shim"), ModTime: time.Unix(1, 0)}, "undionly.kpxe": {Data: []byte("undi")}},
		Identify: pxe.IdentifierFunc(func(a netip.Addr) (net.HardwareAddr, bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			mac, ok := r.identify[a]
			return mac, ok
		}),
		Describe: r.described.Describe,
		Events:   func(e pxe.Event) { r.events <- e },
		HTTPPort: l.Addr().(*net.TCPAddr).Port,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, serve := range []func() error{func() error { return s.Serve(ctx, l) }, func() error { return s.ServeTFTP(ctx, udp) }} {
		wg.Go(func() {
			if err := serve(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { http.DefaultClient.CloseIdleConnections(); cancel(); wg.Wait() })
	r.http, r.tftp = "http://"+l.Addr().String(), udp.LocalAddr().String()
	return r
}

// answer sets what the resolver says from now on.
func (r *rig) answer(p pxe.Profile, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resolve = func(pxe.Request) (pxe.Profile, error) { return p, err }
}

// asked returns what the resolver was asked.
func (r *rig) asked() []pxe.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]pxe.Request(nil), r.requests...)
}

// do makes an HTTP request without following redirects.
func (r *rig) do(method, path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.http, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	path, req.URL.RawQuery, _ = strings.Cut(path, "?")
	req.URL.Path = path
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(body)
}

func (r *rig) tftpGet(name string) (string, error) {
	var out bytes.Buffer
	_, err := tftp.Client{BlockSize: 1024, AskSize: true}.Get(r.t.Context(), r.tftp, name, &out)
	return out.String(), err
}

func TestHTTPFiles(t *testing.T) {
	r := newRig(t)
	tests := []struct {
		name, method, path string
		header             []string
		status             int
		length             int64
		check              func(h http.Header, body string) bool
	}{
		{"whole", "GET", "/images/vmlinuz", nil, 200, 300_000, nil},
		{"head", "HEAD", "/images/vmlinuz", nil, 200, 300_000, func(_ http.Header, b string) bool { return b == "" }},
		{"range", "GET", "/images/vmlinuz", []string{"Range", "bytes=10-19"}, 206, 10, func(h http.Header, b string) bool {
			return b == "xxxxxxxxxx" && h.Get("Content-Range") == "bytes 10-19/300000"
		}},
		{"bad-range", "GET", "/images/vmlinuz", []string{"Range", "bytes=400000-"}, 416, -1, nil},
		{"double-slash", "GET", "//shimx64.efi", nil, 200, 4, func(h http.Header, b string) bool {
			return b == "shim" && h.Get("Content-Type") == "application/efi"
		}},
		{"backslash-and-case", "GET", `/\ShimX64.EFI`, nil, 200, 4, nil},
		{"alias", "GET", "/bootx64.efi", nil, 200, 4, nil},
		{"climb", "GET", "/images/../../etc/passwd", nil, 404, -1, nil},
		{"directory", "GET", "/images/.", nil, 404, -1, nil},
		{"absent", "GET", "/images/none", nil, 404, -1, nil},
		{"root", "GET", "/", nil, 404, -1, nil},
		{"delete", "DELETE", "/images/vmlinuz", nil, 405, -1, nil},
		{"post-to-a-file", "POST", "/images/vmlinuz", nil, 405, -1, nil},
	}
	for _, tt := range tests {
		resp, body := r.do(tt.method, tt.path, tt.header...)
		if resp.StatusCode != tt.status || tt.length >= 0 && resp.ContentLength != tt.length || resp.ContentLength < 0 {
			t.Errorf("%s: %s, length %d, want %d and %d", tt.name, resp.Status, resp.ContentLength, tt.status, tt.length)
		}
		if tt.check != nil && !tt.check(resp.Header, body) {
			t.Errorf("%s: %v %q", tt.name, resp.Header, body)
		}
	}
	resp, _ := r.do("GET", "/images/vmlinuz")
	tag := resp.Header.Get("ETag")
	if resp, _ := r.do("GET", "/images/vmlinuz", "If-None-Match", tag); tag == "" || resp.StatusCode != 304 {
		t.Errorf("ETag %q: %s", tag, resp.Status)
	}
}

func TestMachineIsIdentified(t *testing.T) {
	mac, other := testMAC, net.HardwareAddr{2, 0, 0, 0, 0, 9}
	tests := []struct {
		name, proto, path string
		leased            net.HardwareAddr // of the client's address
		want              net.HardwareAddr
		resolved          bool
	}{
		{"path", "http", "/boot/52-54-00-77-e1-97/script.ipxe", nil, mac, true},
		{"path-before-lease", "http", "/boot/52-54-00-77-e1-97/script.ipxe", other, mac, true},
		{"query", "http", "/boot/unknown/script.ipxe?mac=52:54:00:77:e1:97", nil, mac, true},
		{"lease", "http", "/ipxe.cfg", mac, mac, true},
		{"nobody", "http", "/boot/unknown/script.ipxe", nil, nil, true},
		{"ipxe-asked-for-its-name", "http", "/ipxe.cfg", nil, nil, false},
		{"grub", "tftp", "/grub/grub.cfg-01-52:54:00:77:e1:97", nil, mac, true},
		{"grub-by-lease", "tftp", "/grub/grub.cfg", mac, mac, true},
		{"grub-asked-for-its-name", "tftp", "/grub/grub.cfg", nil, nil, false},
		{"pxelinux", "tftp", "pxelinux.cfg/01-52-54-00-77-e1-97", nil, mac, true},
		{"pxelinux-default", "tftp", "pxelinux.cfg/default", nil, nil, true},
		{"bad-mac-in-query", "http", "/boot/unknown/script.ipxe?mac=zz", nil, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			if tt.leased != nil {
				r.mu.Lock()
				r.identify[netip.MustParseAddr("127.0.0.1")] = tt.leased
				r.mu.Unlock()
			}
			text := ""
			if tt.proto == "http" {
				_, text = r.do("GET", tt.path)
			} else if out, err := r.tftpGet(tt.path); err != nil {
				t.Fatal(err)
			} else {
				text = out
			}
			e := <-r.events
			asked := r.asked()
			if resolved := len(asked) == 1; resolved != tt.resolved {
				t.Fatalf("%d questions to the resolver, answer:\n%s", len(asked), text)
			}
			if !tt.resolved {
				if !strings.Contains(text, "net_default_mac") && !strings.Contains(text, "${netX/mac:hexhyp}") {
					t.Errorf("not asked for its name:\n%s", text)
				}
				return
			}
			if got := asked[0]; !bytes.Equal(got.MAC, tt.want) || !bytes.Equal(e.MAC, tt.want) || got.Addr != netip.MustParseAddr("127.0.0.1") || got.Server != got.Addr {
				t.Errorf("request %+v, event %+v", got, e)
			}
			if e.Profile != "p" || e.Stage != pxe.StageConfig || e.Err != "" {
				t.Errorf("event %+v", e)
			}
		})
	}
}

func TestMachineIsDescribed(t *testing.T) {
	r := newRig(t)
	r.described.Remember(firmware.Client{MAC: testMAC, UUID: "00112233-4455-6677-8899-aabbccddeeff", Arch: []firmware.Arch{firmware.ArchEFI64}, VendorClass: "PXEClient:Arch:00007"})
	r.do("GET", "/boot/52-54-00-77-e1-97/grub.cfg")
	r.do("GET", "/boot/unknown/script.ipxe?platform=efi&buildarch=arm64&uuid=AA112233-4455-6677-8899-AABBCCDDEEFF")
	r.do("GET", "/boot/unknown/script.ipxe?arch=16&uuid=nonsense")
	want := []string{"uefi-amd64-pxe amd64 00112233-4455-6677-8899-aabbccddeeff", "ipxe arm64 aa112233-4455-6677-8899-aabbccddeeff", "ipxe amd64 "}
	for i, q := range r.asked() {
		if got := fmt.Sprint(q.Method, " ", q.Arch, " ", q.UUID); got != want[i] {
			t.Errorf("request %d: %s, want %s", i, got, want[i])
		}
	}
}

// No profile is an answer and not a failure; a failure is not shown to clients.
func TestResolverErrors(t *testing.T) {
	r := newRig(t)
	r.answer(pxe.Profile{}, fmt.Errorf("gone: %w", pxe.ErrNoProfile))
	if resp, _ := r.do("GET", "/boot/52-54-00-77-e1-97/script.ipxe"); resp.StatusCode != 404 {
		t.Error(resp.Status)
	}
	if e := <-r.events; !e.Absent || e.Err != "" {
		t.Errorf("event %+v", e)
	}
	if _, err := r.tftpGet("grub/grub.cfg-01-52:54:00:77:e1:97"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	<-r.events
	r.answer(pxe.Profile{}, errors.New("secret: database is down"))
	if resp, body := r.do("GET", "/boot/52-54-00-77-e1-97/script.ipxe"); resp.StatusCode != 500 || strings.Contains(body, "secret") {
		t.Error(resp.Status, body)
	}
	if e := <-r.events; e.Absent || !strings.Contains(e.Err, "database") {
		t.Errorf("event %+v", e)
	}
	var te *tftp.Error
	if _, err := r.tftpGet("pxelinux.cfg/default"); !errors.As(err, &te) || te.Code != tftp.CodeUndefined || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	r.answer(pxe.Profile{Kernel: "a\nb"}, nil)
	if resp, _ := r.do("GET", "/boot/52-54-00-77-e1-97/script.ipxe"); resp.StatusCode != 500 {
		t.Error("a bad profile was served")
	}
}

func TestEvents(t *testing.T) {
	r := newRig(t)
	check := func(what string, want func(e pxe.Event) bool) {
		t.Helper()
		if e := <-r.events; !want(e) {
			t.Errorf("%s: %+v", what, e)
		}
	}
	r.do("GET", "/boot/52-54-00-77-e1-97/kernel/vmlinuz")
	check("kernel", func(e pxe.Event) bool {
		return e.Stage == pxe.StageKernel && e.Bytes == 300_000 && e.Size == 300_000 && e.MAC.String() == testMAC.String() && e.Proto == "http" && !e.Probe
	})
	r.do("HEAD", "/shimx64.efi")
	check("head", func(e pxe.Event) bool {
		return e.Stage == pxe.StageLoader && e.Probe && e.Bytes == 0 && e.Method == "uefi-amd64-pxe"
	})
	if _, err := r.tftpGet("/boot/52-54-00-77-e1-97/initrd/initrd"); err != nil {
		t.Fatal(err)
	}
	check("initrd", func(e pxe.Event) bool {
		return e.Stage == pxe.StageInitrd && e.Bytes == 1000 && e.BlockSize == 1024 && e.WindowSize == 1 && e.Proto == "tftp"
	})
	_, _ = r.tftpGet("revocations_sku.efi")
	check("optional", func(e pxe.Event) bool { return e.Absent && e.Err == "" })
	_, _ = r.tftpGet("/grub/x86_64-efi/command.lst")
	check("module list", func(e pxe.Event) bool { return e.Absent && e.Err == "" })
	_, _ = r.tftpGet("pxelinux.cfg/0A4D")
	check("short address", func(e pxe.Event) bool { return e.Absent && e.Err == "" })
	_, _ = r.tftpGet("typo.efi")
	check("missing", func(e pxe.Event) bool { return !e.Absent && e.Err != "" })

	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to, _ := net.ResolveUDPAddr("udp4", r.tftp)
	if n, err := (tftp.Client{BlockSize: 1468, WindowSize: 4}).Size(t.Context(), conn, to, "shimx64.efi"); n != 4 || err != nil {
		t.Error(n, err)
	}
	check("size probe", func(e pxe.Event) bool { return e.Probe && e.Err == "" })
}

func TestReport(t *testing.T) {
	r := newRig(t)
	post := func(body string) int {
		resp, err := http.Post(r.http+"/boot/52-54-00-77-e1-97/done", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := post("I am up"); status != 204 {
		t.Fatal(status)
	}
	if e := <-r.events; e.Stage != pxe.StageRunning || string(e.Body) != "I am up" || e.MAC.String() != testMAC.String() {
		t.Errorf("event %+v", e)
	}
	if status := post(strings.Repeat("x", 65537)); status != 413 {
		t.Error(status)
	}
}

// Deleting a machine takes effect with the next request.
func TestNothingIsCached(t *testing.T) {
	r := newRig(t)
	if resp, _ := r.do("GET", "/boot/52-54-00-77-e1-97/script.ipxe"); resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-store" {
		t.Error(resp.Status, resp.Header)
	}
	r.answer(pxe.Profile{}, pxe.ErrNoProfile)
	if resp, _ := r.do("GET", "/boot/52-54-00-77-e1-97/script.ipxe"); resp.StatusCode != 404 {
		t.Error(resp.Status)
	}
}
