package clienttest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/store/inventory"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// built is the program, which is built once for all tests: the link alone takes seconds.
var built struct {
	sync.Once
	dir, path string
	err       error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// program returns the path of the command.
func program(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "maas"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "maas")
		build := exec.Command("go", "build", "-o", built.path, "./cmd/maas")
		build.Dir = filepath.Join("..", "..", "..", "..") // with the modules of the product
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	ok(t, built.err)
	return built.path
}

var pageURL = regexp.MustCompile(`The page is (http://[^/]+)/`)

// try runs `maas try` until the test ends, and returns the address of its page.
func try(t *testing.T, args ...string) string {
	t.Helper()
	netlab.Require(t, netlab.Program("chromium", "chromium"))
	cmd := exec.CommandContext(t.Context(), program(t), append([]string{"try", "--keep"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	ok(t, err)
	cmd.Stderr = cmd.Stdout
	ok(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	var said bytes.Buffer
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
		if found := pageURL.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }() // a full pipe would stop the program
			return found[1]
		}
	}
	t.Fatalf("no page: %s", said.String())
	return ""
}

// password is the password of the administrator of a site.
const password = "correct horse"

// site is a region in this process: unlike `maas try`, it asks for a log-in, and has what racks
// reported without a rack.
type site struct {
	inv  *inventory.Inventory
	base string
}

// newSite starts a region with an administrator, a rack, a device that was found, and a network
// that the rack was not given.
func newSite(t *testing.T) site {
	t.Helper()
	netlab.Require(t, netlab.Program("chromium", "chromium"))
	r, err := region.Open(t.Context(), region.Config{Dir: t.TempDir(), Kinds: power.NewRegistry(power.Manual())})
	ok(t, err)
	s := site{inv: r.Inventory()}
	s.fill(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	s.base = "http://" + l.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, region.Sockets{API: []net.Listener{l}}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		ok(t, r.Close())
	})
	return s
}

func (s site) fill(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	_, err := s.inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: netip.MustParsePrefix("192.0.2.1/24")})
	ok(t, err)
	hash, err := s.inv.HashPassword(ctx, password)
	ok(t, err)
	_, err = s.inv.Users.Create(ctx, inventory.User{Name: "ada", Role: inventory.RoleAdmin, Password: hash})
	ok(t, err)
	link := inventory.RackLink{Name: "eth0", MAC: "02:00:00:00:ff:01", Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("198.51.100.1/24")}}
	_, err = s.inv.RegisterLinks(ctx, inventory.Registration{Rack: "rack", Links: []inventory.RackLink{link}, Serve: []string{"eth0"}})
	ok(t, err)
	for n, name := range map[byte]string{7: "printer", 8: "camera"} {
		now := time.Now()
		ok(t, s.inv.Discoveries.Record(ctx, "rack", discovery.Event{Kind: discovery.New, Device: discovery.Device{
			Interface: "eth0", Addr: netip.AddrFrom4([4]byte{192, 0, 2, n}), MAC: discovery.MAC{2, 0, 0, 0, 0, n}, First: now, Last: now, Expires: now.Add(time.Hour),
			Count: 1, Sources: discovery.ARP, Info: discovery.Info{Names: []discovery.Name{{Name: name, Origin: discovery.MDNS}}},
		}}))
	}
}

// logIn opens a page of the site as the administrator.
func (s site) logIn(path string) chromedp.Action {
	return chromedp.Tasks{
		chromedp.Navigate(s.base + path), chromedp.SendKeys(`input[name=username]`, "ada"), chromedp.SendKeys(`input[name=password]`, password),
		press("Log in"), chromedp.WaitVisible(`header.side`),
	}
}

// press presses the button with a text that is visible.
func press(text string) chromedp.Action {
	return chromedp.Click(`//button[normalize-space()="`+text+`"]`, chromedp.BySearch, chromedp.NodeVisible)
}

// unfold opens the part of a page below a summary.
func unfold(text string) chromedp.Action {
	return chromedp.Click(`//summary[normalize-space()="`+text+`"]`, chromedp.BySearch, chromedp.NodeVisible)
}

// patience bounds a test: a browser that never shows what the test waits for is not slow.
const patience = 80 * time.Second

// browse starts a browser.
func browse(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(ctx)
	t.Cleanup(stop)
	ctx, end := context.WithTimeout(ctx, patience)
	t.Cleanup(end)
	return ctx
}
