package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/power/kinds"
)

// Arguments of a process are visible to all users of its host, and stay in the history of shells.
// So no command takes a secret as one.

// secretFields are the fields of objects that hold secrets, besides parameters of power types.
var secretFields = []string{"password", "secret"}

const powerParameters = "power_parameters"

// isSecret reports whether a field of an object, or a parameter of any power type, is a secret.
func isSecret(field string) bool {
	if slices.Contains(secretFields, field) {
		return true
	}
	name, ofPower := strings.CutPrefix(field, powerParameters+"_")
	// A key is the public key of an SSH key, unless it is one of a power type.
	return isSecretParam(name) && (ofPower || name != "key")
}

// isSecretParam reports whether a parameter of any power type is a secret.
func isSecretParam(name string) bool {
	for _, kind := range kinds.All() {
		for _, p := range kind.Params {
			if p.Name == name && p.Secret {
				return true
			}
		}
	}
	return false
}

// withPassword matches a URL up to its password: scheme://user:password@.
var withPassword = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^/?#\s@:]*:[^/?#\s]+@`)

// refuseSecrets returns an error for an argument with a secret: NAME=VALUE of a secret field, and a
// URL with a password. A VALUE that begins with @ names a file.
func refuseSecrets(args []string) error {
	ofPower := false // the argument is the value of --power-param
	for _, arg := range args {
		if found := withPassword.FindString(arg); found != "" {
			upTo := found[:strings.Index(found, "://")+3] + "..."
			return fmt.Errorf("a URL %s has a password, and arguments are visible to all users of this host; put it into the configuration file, a MAAS_* variable, or a file that @FILE names", upTo)
		}
		if strings.HasPrefix(arg, "--") {
			var flag string
			flag, arg, _ = strings.Cut(arg, "=")
			ofPower = flag == "--power-param"
			if arg == "" {
				continue
			}
		}
		name, value, _ := strings.Cut(arg, "=")
		name = strings.ReplaceAll(name, "-", "_")
		if ofPower {
			name = powerParameters + "_" + name
		}
		ofPower = false
		if value != "" && !strings.HasPrefix(value, "@") && (isSecret(name) || name == powerParameters && hasSecret(value)) {
			return fmt.Errorf("%s: arguments are visible to all users of this host; write the value into a file and say %s=@FILE, or %s=@- for standard input", name, name, name)
		}
	}
	return nil
}

// hasSecret reports whether parameters of power as JSON have a secret.
func hasSecret(parameters string) bool {
	var all map[string]any
	if json.Unmarshal([]byte(parameters), &all) != nil {
		return false // the site says what is wrong with it
	}
	return slices.ContainsFunc(slices.Collect(maps.Keys(all)), isSecretParam)
}

// Where a rack's token is found without a flag.
const (
	tokenVariable   = "MAAS_ENROL_TOKEN"
	tokenCredential = "enrol-token" // of systemd
)

// enrolToken returns the token with which a rack joins, or "". file is the flag's; data is the
// rack's data directory.
func enrolToken(file, data string) (string, error) {
	if token := os.Getenv(tokenVariable); file == "" && token != "" {
		return strings.TrimSpace(token), nil
	}
	optional := false
	if file == "" {
		dir := os.Getenv("CREDENTIALS_DIRECTORY") // set by systemd; see LoadCredential= in systemd.exec(5)
		if dir == "" {
			return "", nil
		}
		file, optional = filepath.Join(dir, tokenCredential), true
	}
	text, err := readFile(file)
	if errors.Is(err, fs.ErrNotExist) && (optional || daemon.Enrolled(data)) {
		return "", nil // a unit names the file for ever, and a token is needed once
	}
	if err != nil {
		return "", fmt.Errorf("--enrol-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("--enrol-file %s: is empty; it needs the output of maas region token create", file)
	}
	return token, nil
}
