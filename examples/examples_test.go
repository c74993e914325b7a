package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/maastest"
)

// programs builds all examples once and returns the directory that they are in.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "examples")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir, "./...").CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), filepath.Join(dir, name), args...)
}

// output runs an example that ends by itself.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command(t, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// launch runs an example until the test ends and returns the first line that it prints.
func launch(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := command(t, name, args...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		r.Close()
	})
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(line)
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestExamplesAreShort(t *testing.T) {
	files, err := filepath.Glob("*/*.go")
	if err != nil || len(files) < 13 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n >= 80 {
			t.Errorf("%s has %d lines; an example has less than 80", file, n)
		}
	}
}

func TestIpamonly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addresses")
	expect(t, output(t, "ipamonly", file, "next", "node1"), "192.0.2.1\n1 of 254")
	expect(t, output(t, "ipamonly", file, "next", "node2"), "192.0.2.2\n2 of 254")
	expect(t, output(t, "ipamonly", file, "release", "192.0.2.1"), "1 of 254")
	expect(t, output(t, "ipamonly", file, "list"), "192.0.2.2 node2")
}

func TestCustomdriver(t *testing.T) {
	var mu sync.Mutex
	state := "off"
	plug := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPut {
			text, _ := io.ReadAll(r.Body)
			state = string(text)
		}
		fmt.Fprint(w, state)
	}))
	defer plug.Close()
	expect(t, output(t, "customdriver", plug.URL, "on"), "off -> on")
	expect(t, output(t, "customdriver", plug.URL, "off"), "on -> off")
}

func TestPowerctl(t *testing.T) {
	bmc, err := powersim.ServeIPMI(&powersim.Chassis{}, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	cmd := command(t, "powerctl", "-address", bmc.Target().Params["power_address"], "-user", "admin", "-network", "on")
	cmd.Env = append(os.Environ(), "POWER_PASS=secret")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expect(t, string(out), "off -> on")
	expect(t, string(out), "boot once from network")
}

func TestDiscoverprint(t *testing.T) {
	out := output(t, "discoverprint", "-read", "../discovery/testdata/lab.pcap")
	expect(t, out, "new")
	if n := strings.Count(out, "\n"); n < 3 {
		t.Errorf("%d lines:\n%s", n, out)
	}
}

func TestCachingproxy(t *testing.T) {
	var mu sync.Mutex
	asked := 0
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		w.Header().Set("Cache-Control", "max-age=600")
		fmt.Fprint(w, "package")
	}))
	defer origin.Close()
	line := launch(t, "cachingproxy", "-listen", "127.0.0.1:0", "-cache", t.TempDir(), "-allow-local", "127.0.0.0/8", "127.0.0.0/8")
	through, err := url.Parse("http://" + line[strings.LastIndex(line, " ")+1:])
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(through)}}
	defer client.CloseIdleConnections()
	for range 3 {
		resp, err := client.Get(origin.URL + "/package.deb")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "package" {
			t.Fatalf("%s %q, %v", resp.Status, body, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if asked != 1 {
		t.Errorf("the origin was asked %d times", asked)
	}
}

func TestEnrol(t *testing.T) {
	token := launch(t, "enrol", "region", "127.0.0.1:0")
	expect(t, launch(t, "enrol", "rack", t.TempDir(), "rack-7", token), "hello, rack-7")
	if out, err := command(t, "enrol", "rack", t.TempDir(), "rack-8", token).CombinedOutput(); err == nil || !strings.Contains(string(out), "was used") {
		t.Errorf("a second rack with the token: %v\n%s", err, out)
	}
}

func TestMaasclient(t *testing.T) {
	m := maastest.Start(t, maastest.Config{})
	if _, err := m.Inventory.Machines.Create(t.Context(), inventory.Machine{Hostname: "node1", Status: inventory.StatusReady}); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "maasclient", m.URL)
	cmd.Env = append(os.Environ(), "MAAS_KEY="+m.Key)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expect(t, string(out), "node1.maas Ready")
}

func TestZonefile(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("192.0.2.7 printer\nfd00::7 printer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	line := launch(t, "zonefile", "-listen", "127.0.0.1:0", hosts)
	at := line[strings.LastIndex(line, " ")+1:]
	resolver := net.Resolver{PreferGo: true, Dial: dialer(at)}
	got, err := resolver.LookupHost(t.Context(), "printer.lab.example")
	if err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if names, err := resolver.LookupAddr(t.Context(), "192.0.2.7"); err != nil || len(names) != 1 || names[0] != "printer.lab.example." {
		t.Errorf("%v, %v", names, err)
	}
}

// What serves DHCP needs root and a link; without them each says what it lacks.
func TestExamplesThatNeedALink(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"netboot":   {"-kernel", file, "-initrd", file, "absent0"},
		"proxydhcp": {"-kernel", file, "-initrd", file, "absent0"},
		"dhcphosts": {"-interface", "absent0", file},
		"allinone":  {"absent0", t.TempDir()},
	} {
		out, err := command(t, name, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "absent0") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func dialer(at string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", at)
	}
}
