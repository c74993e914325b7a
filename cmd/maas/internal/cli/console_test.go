package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/power/powersim"
)

func TestEscape(t *testing.T) {
	for typed, want := range map[string]string{
		"~.": "", "ls\r~.x": "ls\r", "a~.b": "a~.b", "~~.\r": "~.\r", "~x\r~.": "~x\r", "abc": "abc", "\n~\n~.": "\n~\n",
	} {
		for _, size := range []int{2, 3, 100} {
			got, err := io.ReadAll(struct{ io.Reader }{&sized{&untilEscape{from: strings.NewReader(typed), fresh: true}, size}})
			if string(got) != want || err != nil {
				t.Errorf("%q by %d: %q, %v; want %q", typed, size, got, err, want)
			}
		}
	}
}

// sized reads pieces of a size.
type sized struct {
	io.Reader
	size int
}

func (s *sized) Read(b []byte) (int, error) { return s.Reader.Read(b[:min(len(b), s.size)]) }

// The console of a machine of a file shows what is typed, and detaches by the escape.
func TestConsole(t *testing.T) {
	b, err := powersim.ServeSSH(&powersim.Chassis{}, "root", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := b.Target().Params
	file := filepath.Join(t.TempDir(), "bmc.yaml")
	text := fmt.Sprintf("https: 127.0.0.1:0\nmachines: [{name: web-1, power-type: ssh, params: {power_address: %q, power_user: root, power_pass: secret, ssh_fingerprint: %q, command_on: x, command_off: x, command_query: x, command_console: console}}]\n",
		p["power_address"], p["ssh_fingerprint"])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	target, err := machineConsoleCmd{Name: "web-1", File: file}.target()
	if err != nil {
		t.Fatal(err)
	}
	c, err := power.NewController(power.Config{Registry: kinds.All()})
	if err != nil {
		t.Fatal(err)
	}
	console, err := c.Console(t.Context(), target, false)
	if err != nil {
		t.Fatal(err)
	}
	in, keys := io.Pipe()
	seen := &waiting{want: "hello", found: make(chan struct{})}
	go func() {
		_, _ = io.WriteString(keys, "hello\r")
		<-seen.found
		_, _ = io.WriteString(keys, "~.")
	}()
	if err := attach(t.Context(), console, in, seen); err != nil {
		t.Error(err)
	}
	if _, err := (machineConsoleCmd{Name: "web-2", File: file}).target(); err == nil || !strings.Contains(err.Error(), `no machine "web-2"`) {
		t.Errorf("another machine: %v", err)
	}
}

// waiting closes found when a text was written.
type waiting struct {
	text  bytes.Buffer
	want  string
	found chan struct{}
	once  bool
}

func (w *waiting) Write(b []byte) (int, error) {
	n, err := w.text.Write(b)
	if !w.once && strings.Contains(w.text.String(), w.want) {
		w.once = true
		close(w.found)
	}
	return n, err
}

// The console of a machine of the site is that of the API, over TLS too; a user who may not have it
// is refused at once, and what a machine lacks is said in one line.
func TestSiteConsole(t *testing.T) {
	m, _ := bareSite(t, map[string]func(*powersim.Chassis) (*powersim.BMC, error){
		"web":  func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServeSSH(c, "root", "hidden") },
		"plug": func(c *powersim.Chassis) (*powersim.BMC, error) { return powersim.ServePlug(c, "shelly", "hidden") },
	})
	admin := logIn(t, m)
	console, err := machineConsoleCmd{remote: admin, Name: "web"}.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in, keys := io.Pipe()
	seen := &waiting{want: "hello", found: make(chan struct{})}
	go func() {
		_, _ = io.WriteString(keys, "hello\r")
		<-seen.found
		_, _ = io.WriteString(keys, "~.")
	}()
	if err := attach(t.Context(), console, in, seen); err != nil {
		t.Error(err)
	}
	if _, err := (machineConsoleCmd{remote: admin, Name: "plug"}).open(t.Context()); err == nil || !strings.Contains(err.Error(), "has no console") {
		t.Errorf("a plug: %v", err)
	}
	web, err := m.Inventory.Machines.Find(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	web.Owner = "admin"
	if _, err := m.Inventory.Machines.Update(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]string{"operator": "belongs to admin", "read-only": "does not allow"} {
		m.Key = m.CreateUser(t, "a-"+role, role)
		if _, err := (machineConsoleCmd{remote: logIn(t, m), Name: "web"}).open(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", role, err, want)
		}
	}
}
