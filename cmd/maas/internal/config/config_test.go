package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/cmd/maas/internal/config"
)

func load(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "maas.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path)
}

func TestLoadNamesTheLineAndTheMistake(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"data: /x\ninterfaces: eth0\n", `:2: unknown key "interfaces"; did you mean "interface"?`},
		{"dhcp:\n  rnage: a\n", `:2: unknown key "rnage"; did you mean "range"?`},
		{"dhcp:\n  force: true\n  range: 192.0.2.9-192.0.2.1\n", `:3: dhcp.range: the range "192.0.2.9-192.0.2.1" begins behind its end; write 192.0.2.1-192.0.2.9`},
		{"dhcp: {range: 192.0.2.1}\n", `:1: dhcp.range: "192.0.2.1" is not a range`},
		{"dhcp: {range: 192.0.2.1-2001:db8::1}\n", `is not a range`},
		{"dhcp:\n  range: [a, b]\n", ":2: text is needed here, and not a list"},
		{"dns:\n  forwarders: 192.0.2.1\n", ":2: a list is needed here, and not text"},
		{"dhcp: text\n", ":1: a group of keys is needed here, and not text"},
		{"dns:\n  forwarders:\n  - 192.0.2.1\n  - resolver\n", `:4: dns.forwarders[1]: "resolver" is not an address`},
		{"rack:\n  port: 70000\n", ":2: rack.port: 70000 is not a port"},
		{"rack:\n  port: many\n", ":2: a number is needed here, and not text"},
		{"boot:\n  cmdline: quiet\n", ": boot: initrd and cmdline need a kernel"},
		{"log: {level: loud}\n", `:1: log.level: "loud" is none of`},
		{"trace:\n  endpoint: collector:4318\n", `:2: trace.endpoint: "collector:4318" is not a URL like`},
		{"region: {tls: maybe}\n", `:1: region.tls: "maybe" is none of`},
		{"region: {tls-cert: /x}\n", "needs both tls-cert and tls-key"},
		{"a: [\n", ":1"},
	} {
		_, err := load(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\n got  %v\n want %s", c.text, err, c.want)
		}
	}
}

func TestFlagsWinOverTheFile(t *testing.T) {
	file, err := load(t, "data: /file\ndhcp: {gateway: 192.0.2.1, force: true}\nboot: {kernel: /k, initrd: [/i]}\n")
	if err != nil {
		t.Fatal(err)
	}
	got := config.Overlay(file, config.Config{Data: "/flag", Boot: config.Boot{Initrd: []string{"/j"}}})
	want := config.Config{
		Data: "/flag",
		DHCP: config.DHCP{Gateway: "192.0.2.1", Force: true},
		Boot: config.Boot{Kernel: "/k", Initrd: []string{"/j"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("data: /x\ndhcp: {range: 192.0.2.1-192.0.2.2}\n")
	f.Add("dns:\n  forwarders: [192.0.2.1]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 256 {
			return // the YAML library is slow on deep nesting; what is asked here needs none
		}
		if cfg, err := load(t, text); err == nil {
			if err := cfg.Check(); err != nil {
				t.Errorf("loaded, but: %v", err)
			}
		}
	})
}

// The example has every key, and is right.
func TestTheExampleHasEveryKey(t *testing.T) {
	if _, err := config.Load("maas.example.yaml"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("maas.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range config.Keys() {
		path, err := yaml.PathString("$." + key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := path.ReadNode(strings.NewReader(string(text))); err != nil {
			t.Errorf("%s is not in the example", key)
		}
	}
}
