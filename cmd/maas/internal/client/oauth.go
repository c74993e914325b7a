package client

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// sign adds the key to a request as OAuth 1.0a has it (RFC 5849 section 3.4.4, PLAINTEXT).
func sign(req *http.Request, key string) error {
	parts := strings.Split(key, ":")
	if len(parts) != 3 {
		return fmt.Errorf("an API key has three parts, CONSUMER:TOKEN:SECRET, and this has %d", len(parts))
	}
	req.Header.Set("Authorization", fmt.Sprintf(
		`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%s", oauth_nonce="%s", oauth_timestamp="%d"`,
		url.QueryEscape(parts[0]), url.QueryEscape(parts[1]), url.QueryEscape("&"+parts[2]), rand.Text(), time.Now().Unix()))
	return nil
}
