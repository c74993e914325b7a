package enrol

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// A Token lets one rack in, once. Its String is a secret.
type Token struct {
	// Regions are addresses to enrol at, as host:port.
	Regions []string
	// Fingerprint is the fingerprint of the site's CA, see [CA.Fingerprint].
	Fingerprint string
	// Secret identifies the token in the region.
	Secret string
	// Expires is the time from which on the region refuses it.
	Expires time.Time
}

// tokenPrefix begins each token; its number changes with the form.
const tokenPrefix = "maas1-"

type tokenJSON struct {
	Regions     []string `json:"r"`
	Fingerprint string   `json:"f"`
	Secret      string   `json:"s"`
	Expires     int64    `json:"e"`
}

// String is the one word that an administrator carries to the rack. [ParseToken] reads it.
func (t Token) String() string {
	text, err := json.Marshal(tokenJSON{t.Regions, t.Fingerprint, t.Secret, t.Expires.Unix()})
	if err != nil {
		return "" // not with these types
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(text)
}

var errToken = errors.New("enrol: this is not a whole token; copy all of the line that `maas region token create` prints")

// ParseToken reads a token and checks that it is complete. It does not look at the time.
func ParseToken(text string) (Token, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), tokenPrefix)
	if !ok {
		return Token{}, errToken
	}
	body, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return Token{}, errToken
	}
	var j tokenJSON
	if json.Unmarshal(body, &j) != nil || len(j.Regions) == 0 || j.Secret == "" {
		return Token{}, errToken
	}
	if sum, err := hex.DecodeString(j.Fingerprint); err != nil || len(sum) != sha256.Size {
		return Token{}, errToken
	}
	for _, address := range j.Regions {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return Token{}, fmt.Errorf("enrol: token: region %q is not an address and port", address)
		}
	}
	return Token{j.Regions, j.Fingerprint, j.Secret, time.Unix(j.Expires, 0)}, nil
}

// Hash returns the form in which a region keeps a token's secret. A secret has 128 random bits or
// more, so a plain hash is enough.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
