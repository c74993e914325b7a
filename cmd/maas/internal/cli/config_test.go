package cli

import (
	"bytes"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/gomaas/maas/cmd/maas/internal/config"
)

// flagOf names the flags that are not called as the last part of their key.
var flagOf = map[string]string{
	"region.addresses": "address", "rack.port": "rack-port", "dhcp.range": "dhcp-range", "dhcp.force": "dhcp-force", "dhcp.disable": "no-dhcp", "dhcp.mode": "dhcp-mode",
	"dns.forwarders": "forwarder", "dns.port": "dns-port", "proxy.port": "proxy-port", "proxy.parent": "parent-proxy", "proxy.disable": "no-http-proxy",
	"proxy.access-log": "proxy-log", "log.level": "log-level", "log.format": "log-format",
	"trace.endpoint": "trace-endpoint",
}

// Every key of the file is a flag and a variable of one of the commands that run daemons, and does what the key does.
func TestEveryKeyIsAFlagAndAVariable(t *testing.T) {
	for _, key := range config.Keys() {
		name := flagOf[key]
		if name == "" {
			name = key[strings.LastIndex(key, ".")+1:]
		}
		found := false
		for _, daemon := range []struct {
			command string
			config  func(*commands) (config.Config, error)
		}{
			{"all", func(c *commands) (config.Config, error) { return c.All.config() }},
			{"region run", func(c *commands) (config.Config, error) { return c.Region.Run.config() }},
			{"rack run", func(c *commands) (config.Config, error) { return c.Rack.Run.config() }},
		} {
			var c commands
			parser := kong.Must(&c, kong.Vars(defaultVars()), kong.DefaultEnvars("MAAS"))
			flag := findFlag(parser.Model.Node, strings.Fields(daemon.command), name)
			if flag == nil {
				continue
			}
			if env := "MAAS_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")); !slices.Equal(flag.Envs, []string{env}) {
				t.Errorf("%s: the variable of --%s is %v", key, name, flag.Envs)
			}
			value := "--" + name
			if !flag.IsBool() {
				value += "=7"
			}
			if _, err := parser.Parse(append(strings.Fields(daemon.command), value)); err != nil {
				t.Errorf("%s: %v", key, err)
				continue
			}
			cfg, _ := daemon.config(&c) // most values are mistakes, which come after joining
			found = found || isSet(reflect.ValueOf(cfg), key)
		}
		if !found {
			t.Errorf("%s: --%s of no command sets it", key, name)
		}
	}
}

func findFlag(n *kong.Node, path []string, name string) *kong.Flag {
	for _, child := range n.Children {
		if len(path) > 0 && child.Name == path[0] {
			return findFlag(child, path[1:], name)
		}
	}
	for _, f := range n.Flags {
		if f.Name == name && len(path) == 0 {
			return f
		}
	}
	return nil
}

func isSet(v reflect.Value, key string) bool {
	first, rest, more := strings.Cut(key, ".")
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") != first {
			continue
		}
		if more {
			return isSet(v.Field(i), rest)
		}
		return !v.Field(i).IsZero()
	}
	return false
}

func TestTheLevelIsReadAgain(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
	again(log, level, func() (config.Config, error) { return config.Config{Log: config.Log{Level: "debug"}}, nil })
	if level.Level() != slog.LevelDebug || !strings.Contains(out.String(), "reloaded") {
		t.Errorf("level %s: %s", level.Level(), out.String())
	}
	again(log, level, func() (config.Config, error) {
		return config.Config{}, &config.Mistake{Key: "log.level", Text: "is loud"}
	})
	if level.Level() != slog.LevelDebug || !strings.Contains(out.String(), "is loud") {
		t.Errorf("level %s: %s", level.Level(), out.String())
	}
}
