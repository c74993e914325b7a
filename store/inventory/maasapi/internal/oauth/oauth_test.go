package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/oauth"
)

func check(_ context.Context, consumer, token, secret string) (string, bool, error) {
	if consumer == "broken" {
		return "", false, errors.New("disk full")
	}
	return "anna", consumer == "c" && token == "t" && secret == "s", nil
}

func header(method, consumer, token, secret, nonce string, at any) string {
	return fmt.Sprintf(`OAuth oauth_version="1.0", oauth_signature_method="%s", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%%26%s", `+
		`oauth_nonce="%s", oauth_timestamp="%v"`, method, consumer, token, secret, nonce, at)
}

func TestVerify(t *testing.T) {
	v := oauth.Verifier[string]{Check: check}
	now := time.Now().Unix()
	for _, c := range []struct{ name, header, want string }{
		{"good", header("PLAINTEXT", "c", "t", "s", "n1", now), ""},
		{"replay", header("PLAINTEXT", "c", "t", "s", "n1", now), "was sent before"},
		{"another nonce", header("PLAINTEXT", "c", "t", "s", "n2", now), ""},
		{"nothing", "", "send an API key"},
		{"basic", "Basic YTpi", "send an API key"},
		{"HMAC", header("HMAC-SHA1", "c", "t", "s", "n3", now), `method is "HMAC-SHA1"`},
		{"wrong secret", header("PLAINTEXT", "c", "t", "x", "n4", now), "key is not valid"},
		{"NUL", header("PLAINTEXT", "c%00", "t", "s", "n5", now), "key is not valid"},
		{"no time", header("PLAINTEXT", "c", "t", "s", "n6", "noon"), `"noon" is not a number`},
		{"old", header("PLAINTEXT", "c", "t", "s", "n7", now-400), "clocks of client and region"},
		{"early", header("PLAINTEXT", "c", "t", "s", "n8", now+400), "clocks of client and region"},
		{"store down", header("PLAINTEXT", "broken", "t", "s", "n9", now), "keys cannot be checked now: disk full"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", c.header)
		user, err := v.Verify(r)
		switch {
		case c.want == "" && (err != nil || user != "anna"):
			t.Errorf("%s: %q %v", c.name, user, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		if errors.Is(err, oauth.ErrUnchecked) != (c.name == "store down") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestLimiter(t *testing.T) {
	l := oauth.Limiter{Every: time.Second, Burst: 2}
	now := time.Unix(1_800_000_000, 0)
	for i, step := range []struct {
		name string
		wait time.Duration
	}{
		{"a", 0}, {"a", 0}, {"a", time.Second}, {"a", time.Second}, {"b", 0},
	} {
		if got := l.Take(now, step.name); got != step.wait {
			t.Errorf("try %d of %s: %s, want %s", i, step.name, got, step.wait)
		}
	}
	now = now.Add(time.Second)
	if l.Take(now, "a") != 0 || l.Take(now, "a") != time.Second {
		t.Error("refused attempts cost something")
	}
}

// A name that tries often stays limited, however many names a stranger invents.
func TestLimiterForgetsTheQuiet(t *testing.T) {
	l := oauth.Limiter{Every: time.Hour, Burst: 2}
	now := time.Unix(1_800_000_000, 0)
	l.Take(now, "often")
	l.Take(now, "often")
	for i := range 10_000 {
		l.Take(now, fmt.Sprint(i))
		if l.Take(now, "often") == 0 {
			t.Fatalf("forgotten after %d names", i)
		}
	}
	if n := l.Len(); n > 4096 {
		t.Errorf("%d names are remembered", n)
	}
}

func TestNetwork(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::/64", "[fe80::1%eth0]:80": "fe80::/64",
		"@": "@", "pipe:1": "pipe",
	} {
		if got := oauth.Network(remote); got != want {
			t.Errorf("%s: %s, want %s", remote, got, want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(header("PLAINTEXT", "c", "t", "s", "n", 1_800_000_000))
	f.Add(`OAuth oauth_token="%zz"`)
	v := oauth.Verifier[string]{Check: check}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", text)
		_, _ = v.Verify(r) // it must not panic
	})
}
