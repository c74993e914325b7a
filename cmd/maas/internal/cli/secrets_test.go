package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A secret is never an argument: not a field, not a parameter of any power type, not a URL's password.
func TestSecretsAreNoArguments(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	for _, args := range [][]string{
		{"user", "create", "eve", "password=hunter2x"},
		{"user", "update", "eve", "password=hunter2x"},
		{"tsigkey", "create", "k", "secret=hunter2x"},
		{"machine", "update", "m", "power_parameters_power_pass=hunter2x"},
		{"machine", "update", "m", "power-parameters-power-pass=hunter2x"},
		{"machine", "update", "m", `power_parameters={"power_user":"a","power_pass":"hunter2x"}`},
		{"machine", "create", "--mac", "02:00:00:00:00:01", "--power-param", "power_pass=hunter2x"},
		{"machine", "create", "--mac", "02:00:00:00:00:01", "--power-param=k_g=hunter2x"},
		{"machine", "create", "--mac", "02:00:00:00:00:01", "--power-param", "key=hunter2x"},
		{"machine", "create", "--mac", "02:00:00:00:00:01", "--power-param=key=hunter2x"},
		{"machine", "create", "--mac", "02:00:00:00:00:01", "power_parameters_k_g=hunter2x"},
		{"region", "run", "--database", "postgres://maas:hunter2x@db/maas"},
		{"backup", "x", "--database=postgres://maas:hunter2x@db/maas"},
		{"settings", "set", "http_proxy", "http://site:hunter2x@proxy:3128"},
		{"proxy", "set", "proxy_parents", ".a=http://proxy:3128,.b=http://u:hunter2x=,@proxy:3128"},
		{"all", "--parent-proxy", "HTTP://:hunter2x@proxy"},
		{"login", "https://ada:hunter2x@maas.example"},
	} {
		var out, errs bytes.Buffer
		status := Main(t.Context(), args, &out, &errs)
		if status == 0 || !strings.Contains(errs.String(), "visible to all users") || strings.Contains(errs.String(), "hunter2") {
			t.Errorf("%v: %d %s%s", args[:len(args)-1], status, &out, &errs)
		}
	}
	// What only looks like it is left to the command.
	for _, args := range [][]string{
		{"postgres://maas@db/maas"}, {"http://192.0.2.1:5240/a@b"}, {"--database=postgres:///maas?user=a"}, {"[::1]:80"}, {"sqlite:///x"}, {"a:b@c"}, {"password=@file", "secret=@-", "password=", "name=password=x"}, {"--power-param", "power_user=root"}, {"http://[2001:db8::1]:80/"},
	} {
		if err := refuseSecrets(args); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// Each secret parameter of each power type is known by its name, and no other.
func TestSecretFields(t *testing.T) {
	for field, want := range map[string]bool{
		"password": true, "secret": true, "power_parameters_power_pass": true, "power_parameters_power_token": true, "power_parameters_k_g": true, "power_parameters_key": true,
		"power_pass": true, "power_parameters_power_address": false, "power_address": false, "power_parameters_power_user": false, "hostname": false, "key": false, "power_parameters": false, "": false,
	} {
		if got := isSecret(field); got != want {
			t.Errorf("%q: %v", field, got)
		}
	}
}

// The token of a rack is in a file, a variable or a credential of systemd, in this order.
func TestEnrolToken(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, file, want, wrong string) {
		t.Helper()
		got, err := enrolToken(file, dir)
		if got != want || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	check("nothing", "", "", "")
	check("no file, no identity", file, "", "no such file")
	write(file, "\n")
	check("an empty file", file, "", "is empty")
	write(file, "abc\n")
	check("a file", file, "abc", "")
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Join(dir, "credentials"))
	check("no such credential", "", "", "")
	write(filepath.Join(dir, "credentials", tokenCredential), "of systemd\n")
	check("a credential", "", "of systemd", "")
	t.Setenv(tokenVariable, " variable\n")
	check("a variable", "", "variable", "")
	check("a file beside a variable", file, "abc", "")
	write(filepath.Join(dir, "rack", "identity.pem"), "x")
	check("a file that is gone, of a rack that has joined", filepath.Join(dir, "gone"), "", "")
}
