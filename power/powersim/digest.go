package powersim

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

var digestField = regexp.MustCompile(`(\w+)="?([^",]*)"?`)

// digestAuth lets requests through that prove the password by a digest (RFC 7616).
func digestAuth(next http.Handler, algorithm, user, password string) http.Handler {
	sum := func(parts ...string) string {
		text := []byte(strings.Join(parts, ":"))
		if algorithm == "MD5" {
			h := md5.Sum(text)
			return hex.EncodeToString(h[:])
		}
		h := sha256.Sum256(text)
		return hex.EncodeToString(h[:])
	}
	const realm = "simulated"
	nonce := rand.Text()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := map[string]string{}
		for _, m := range digestField.FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
			given[m[1]] = m[2]
		}
		want := sum(sum(user, realm, password), nonce, given["nc"], given["cnonce"], "auth", sum(r.Method, r.URL.RequestURI()))
		if given["username"] == user && given["nonce"] == nonce && given["response"] == want {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Digest qop="auth", realm="%s", nonce="%s", algorithm=%s`, realm, nonce, algorithm))
		http.Error(w, `{"error":"unauthorized"}`, http.StatusUnauthorized)
	})
}
