// Package bmc runs `maas bmc serve`: machines of a file, or of a site, as BMCs.
package bmc

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/bmcserve"
	"github.com/gomaas/maas/power/kinds"
)

// Config is the file of the command.
type Config struct {
	// HTTPS is the address of Redfish and webhooks. Empty serves neither.
	HTTPS string `yaml:"https"`
	// TLSCert and TLSKey are files; without them the certificate is made, and its fingerprint
	// logged.
	TLSCert string `yaml:"tls-cert"`
	TLSKey  string `yaml:"tls-key"`
	// IPMI is the address at which the user name decides about the machine.
	IPMI string `yaml:"ipmi"`
	// Drivers is the directory for a socket of each power type, for MAAS.
	Drivers string `yaml:"drivers"`
	// Site has machines of the site beside the file's own.
	Site Site `yaml:"site"`

	Accounts []Account `yaml:"accounts"`
	Machines []Machine `yaml:"machines"`
}

// Site selects machines of the site, whose passwords stay in the region.
type Site struct {
	Tag      string   `yaml:"tag"`
	Machines []string `yaml:"machines"`
}

// An Account may use the server.
type Account struct {
	User         string   `yaml:"user"`
	Password     string   `yaml:"password"`
	PasswordFile string   `yaml:"password-file"`
	Machines     []string `yaml:"machines"`
	ReadOnly     bool     `yaml:"read-only"`
}

// A Machine has its power type and parameters in the file.
type Machine struct {
	Name   string            `yaml:"name"`
	Type   string            `yaml:"power-type"`
	Params map[string]string `yaml:"params"`
	// IPMI is an address for this machine alone.
	IPMI string `yaml:"ipmi"`
}

// Load reads a file. Unknown keys and wrong types are refused with their line.
func Load(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, err
	}
	var cfg Config
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&cfg); err != nil {
		return Config{}, fmt.Errorf("%s: %s", path, firstLine(err))
	}
	if err := cfg.complete(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, nil
}

// firstLine leaves out the excerpt of the file, which may show a password.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// complete reads the files of secrets and checks the rest.
func (c *Config) complete() error {
	if c.HTTPS == "" && c.IPMI == "" && c.Drivers == "" && !slices.ContainsFunc(c.Machines, func(m Machine) bool { return m.IPMI != "" }) {
		return errors.New("nothing is served; set https, ipmi or drivers")
	}
	for _, at := range []struct{ key, address string }{{"https", c.HTTPS}, {"ipmi", c.IPMI}} {
		if _, _, err := net.SplitHostPort(at.address); at.address != "" && err != nil {
			return fmt.Errorf("%s: %q is not host:port", at.key, at.address)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("tls-cert and tls-key belong together")
	}
	for i := range c.Accounts {
		a := &c.Accounts[i]
		if a.Password != "" && a.PasswordFile != "" {
			return fmt.Errorf("account %s: password and password-file exclude each other", a.User)
		}
		if err := readSecret(&a.Password, a.PasswordFile); err != nil {
			return fmt.Errorf("account %s: password-file: %w", a.User, err)
		}
	}
	registry := kinds.All()
	for _, m := range c.Machines {
		kind, err := registry.Kind(m.Type)
		if err != nil {
			return fmt.Errorf("machine %s: power-type: %w", m.Name, err)
		}
		for name, value := range m.Params {
			if file, ok := strings.CutPrefix(value, "@"); ok {
				if err := readSecret(&value, file); err != nil {
					return fmt.Errorf("machine %s: %s: %w", m.Name, name, err)
				}
				m.Params[name] = value
			}
		}
		if _, err := kind.Check(m.Params); err != nil {
			return fmt.Errorf("machine %s: params: %w", m.Name, err)
		}
		if _, _, err := net.SplitHostPort(m.IPMI); m.IPMI != "" && err != nil {
			return fmt.Errorf("machine %s: ipmi: %q is not host:port", m.Name, m.IPMI)
		}
	}
	return nil
}

// readSecret reads a file, if one is named, without the end of its line.
func readSecret(into *string, file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	*into = strings.TrimRight(string(text), "\r\n")
	return nil
}

// accounts returns the accounts for the server.
func (c *Config) accounts() []bmcserve.Account {
	var out []bmcserve.Account
	for _, a := range c.Accounts {
		out = append(out, bmcserve.Account{User: a.User, Password: a.Password, Machines: a.Machines, ReadOnly: a.ReadOnly})
	}
	return out
}

// targets returns the machines of the file.
func (c *Config) targets() []power.Target {
	var out []power.Target
	for _, m := range c.Machines {
		out = append(out, power.Target{Name: m.Name, Kind: m.Type, Params: m.Params})
	}
	return out
}
