package maasapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

// user makes a user with a role and returns what sends requests as them.
func (s *site) user(t testing.TB, name, role string) func(method, path string, form url.Values) (int, string) {
	t.Helper()
	code, body := s.do("POST", base+"users/", url.Values{"username": {name}, "password": {"correct horse"}, "email": {name + "@example.org"}, "role": {role}})
	if code != http.StatusOK {
		t.Fatal(code, body)
	}
	key, err := s.api.CreateKey(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	nonce := 0
	return func(method, path string, form url.Values) (int, string) {
		nonce++
		r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", oauth(key, name+string(rune('a'+nonce)), time.Now()))
		return s.send(r)
	}
}

// send sends a request over the side that asks for a key.
func (s *site) send(r *http.Request) (int, string) {
	w := httptest.NewRecorder()
	s.api.Handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestRoles(t *testing.T) {
	s := newSite(t)
	s.create(t, node1)
	operator, reader, other := s.user(t, "olga", "operator"), s.user(t, "rita", "read-only"), s.user(t, "otto", "operator")
	admin := s.user(t, "anna", "admin")
	for _, c := range []struct {
		who    func(string, string, url.Values) (int, string)
		do     string
		form   url.Values
		status int
	}{
		{reader, "GET machines/", nil, 200},
		{reader, "GET users/?op=whoami", nil, 200},
		{reader, "POST machines/?op=allocate", nil, 403},
		{reader, "POST machines/node1/?op=power_on", nil, 403},
		{reader, "POST fabrics/", url.Values{"name": {"x"}}, 403},
		{reader, "POST account/?op=create_authorisation_token", url.Values{"name": {"x"}}, 200},
		{operator, "POST fabrics/", url.Values{"name": {"x"}}, 403},
		{operator, "POST users/", url.Values{"username": {"eve"}, "role": {"admin"}}, 403},
		{operator, "PUT users/olga/", url.Values{"role": {"admin"}}, 403},
		{operator, "POST machines/", node1, 403},
		{operator, "POST machines/?op=allocate", nil, 200},
		{other, "POST machines/node1/?op=power_on", nil, 403},
		{other, "POST machines/?op=release", url.Values{"machines": {"node1"}}, 403},
		{operator, "POST machines/node1/?op=power_on", nil, 200},
		{operator, "POST machines/node1/?op=release", nil, 200},
		{operator, "DELETE machines/node1/", nil, 403},
		{operator, "POST devices/", url.Values{"hostname": {"d1"}, "mac_addresses": {"02:00:00:00:00:77"}}, 200},
		{operator, "POST ipaddresses/?op=release", url.Values{"ip": {"192.0.2.1"}, "force": {"true"}}, 403},
		{admin, "POST fabrics/", url.Values{"name": {"x"}}, 200},
		{admin, "DELETE users/olga/", nil, 204},
		{operator, "GET machines/", nil, 401},
	} {
		method, path, _ := strings.Cut(c.do, " ")
		if code, body := c.who(method, base+path, c.form); code != c.status {
			t.Errorf("%s: %d %s, want %d", c.do, code, body, c.status)
		}
	}
	for _, path := range []string{"users/admin/", "users/anna/"} { // one of them is the last
		code, body := s.do("DELETE", base+path, nil)
		if path == "users/anna/" && (code != 409 || !strings.Contains(body, "only administrator")) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// authenticate logs in as clients of MAAS do.
func (s *site) authenticate(user, password, from string) (int, string) {
	form := url.Values{"username": {user}, "password": {password}, "consumer": {user + "@laptop"}}
	r := httptest.NewRequest("POST", "/MAAS/accounts/authenticate/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = from
	return s.send(r)
}

func TestLogIn(t *testing.T) {
	s := newSite(t)
	s.user(t, "olga", "operator")
	code, body := s.authenticate("olga", "correct horse", "192.0.2.7:1234")
	var token maasapi.Token
	if err := json.Unmarshal([]byte(body), &token); code != 200 || err != nil || token.TokenSecret == "" {
		t.Fatal(code, body, err)
	}
	r := httptest.NewRequest("GET", base+"account/?op=list_authorisation_tokens", nil)
	r.Header.Set("Authorization", oauth(token.ConsumerKey+":"+token.TokenKey+":"+token.TokenSecret, "n", time.Now()))
	if code, body := s.send(r); code != 200 || !strings.Contains(body, "olga@laptop") || strings.Contains(body, token.TokenSecret) {
		t.Errorf("tokens: %d %s", code, body)
	}
	for _, c := range [][2]string{{"olga", "wrong horse"}, {"nobody", "correct horse"}, {"admin", ""}, {"admin", "x"}} {
		if code, body := s.authenticate(c[0], c[1], "192.0.2.8:1"); code != 401 && code != 400 {
			t.Errorf("%s with %q: %d %s", c[0], c[1], code, body)
		}
	}
	for range 14 {
		if code, body := s.authenticate("olga", "correct horse", "192.0.2.9:1"); code != 200 && code != 429 {
			t.Fatal(code, body)
		}
	}
	u, err := s.inv.Users.Find(t.Context(), "olga")
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := s.inv.APIKeys.List(t.Context(), u.ID); err != nil || len(keys) > 11 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// A client that guesses passwords is made to wait: per user and per network.
func TestLogInIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.user(t, "olga", "operator")
		refused := 0
		for range 20 {
			if code, _ := s.authenticate("olga", "wrong horse", "[2001:db8::1]:1"); code == 429 {
				refused++
			}
		}
		if refused != 10 {
			t.Errorf("%d of 20 attempts were refused", refused)
		}
		if code, _ := s.authenticate("olga", "correct horse", "[2001:db8::2]:1"); code != 429 {
			t.Errorf("from the same network: %d", code)
		}
		if code, body := s.authenticate("olga", "correct horse", "192.0.2.1:1"); code != 200 {
			t.Errorf("from elsewhere: %d %s", code, body)
		}
		if code, body := s.authenticate("anna", "x", "[2001:db8::2]:1"); code != 401 {
			t.Errorf("another user of the network: %d %s", code, body)
		}
		refused = 0
		for i := range 40 {
			if code, _ := s.authenticate(fmt.Sprint("user", i), "x", "[2001:db8::3]:1"); code == 429 {
				refused++
			}
		}
		if refused != 21 { // of 30, olga has used 10 and anna 1
			t.Errorf("%d of 40 users of one network were refused", refused)
		}
		time.Sleep(7 * time.Second)
		if code, body := s.authenticate("olga", "correct horse", "[2001:db8::1]:1"); code != 200 {
			t.Errorf("later: %d %s", code, body)
		}
	})
}

// Strangers who guess from many networks keep no user from logging in elsewhere, with a password or a key.
func TestGuessesKeepNoUserOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.user(t, "olga", "operator")
		for i := range 300 {
			s.authenticate("olga", "wrong horse", fmt.Sprintf("198.51.100.%d:1", i%25))
		}
		if code, body := s.authenticate("olga", "correct horse", "192.0.2.1:1"); code != 200 {
			t.Errorf("%d %s", code, body)
		}
	})
}

// Keys end at their time, with the password of their user, and all at once; they show when they were last used.
func TestKeysEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		olga := s.user(t, "olga", "operator")
		made := func(fields url.Values) (maasapi.Token, int, string) {
			t.Helper()
			var token maasapi.Token
			code, body := olga("POST", base+"account/?op=create_authorisation_token", fields)
			if code == 200 {
				if err := json.Unmarshal([]byte(body), &token); err != nil {
					t.Fatal(err)
				}
			}
			return token, code, body
		}
		nonce := 0
		valid := func(token maasapi.Token) bool {
			t.Helper()
			nonce++
			r := httptest.NewRequest("GET", base+"users/?op=whoami", nil)
			r.Header.Set("Authorization", oauth(token.Token, fmt.Sprint("v", nonce), time.Now()))
			code, _ := s.send(r)
			return code == 200
		}
		for _, wrong := range []string{"tomorrow", "1999-01-01T00:00:00Z", "-1", time.Now().Format(time.RFC3339)} {
			if _, code, body := made(url.Values{"expires": {wrong}}); code != 400 || !strings.Contains(body, "expires") {
				t.Errorf("expires=%s: %d %s", wrong, code, body)
			}
		}
		hour, code, body := made(url.Values{"expires": {time.Now().Add(time.Hour).Format(time.RFC3339)}, "name": {"hour"}})
		if code != 200 || !valid(hour) {
			t.Fatalf("%d %s", code, body)
		}
		used := time.Now()
		time.Sleep(59 * time.Minute)
		if _, list := olga("GET", base+"account/?op=list_authorisation_tokens", nil); !strings.Contains(list, `"last_used":"`+used.UTC().Format("2006-01-02T15:04")) {
			t.Errorf("no last use at %v in %s", used, list)
		}
		if !valid(hour) {
			t.Error("the key ended before its time")
		}
		time.Sleep(time.Minute)
		if valid(hour) {
			t.Error("the key is valid after its time")
		}
		if err := s.inv.APIKeys.DeleteExpired(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, list := olga("GET", base+"account/?op=list_authorisation_tokens", nil); strings.Contains(list, `"hour"`) {
			t.Errorf("the expired key is listed: %s", list)
		}
		for _, end := range []struct {
			what string
			do   func() (int, string)
			ends bool
		}{
			{"another email", func() (int, string) { return s.do("PUT", base+"users/olga/", url.Values{"email": {"o@example.org"}}) }, false},
			{"another password and keep_keys", func() (int, string) {
				return s.do("PUT", base+"users/olga/", url.Values{"password": {"second horse"}, "keep_keys": {"true"}})
			}, false},
			{"another password", func() (int, string) { return s.do("PUT", base+"users/olga/", url.Values{"password": {"third horse"}}) }, true},
			{"an administrator", func() (int, string) { return s.do("POST", base+"users/olga/?op=delete_all_authorisation_tokens", nil) }, true},
		} {
			u, err := s.inv.Users.Find(t.Context(), "olga")
			if err != nil {
				t.Fatal(err)
			}
			_, text, err := s.inv.APIKeys.Create(t.Context(), u.ID, "", time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			token := maasapi.Token{Token: text}
			if !valid(token) {
				t.Fatalf("%s: not valid before", end.what)
			}
			if code, body := end.do(); code/100 != 2 {
				t.Errorf("%s: %d %s", end.what, code, body)
			}
			if got := !valid(token); got != end.ends {
				t.Errorf("%s: ended %v, want %v", end.what, got, end.ends)
			}
		}
	})
}

// A user signs out everywhere, and keys of others stay.
func TestSigningOutEverywhere(t *testing.T) {
	s := newSite(t)
	olga, anna := s.user(t, "olga", "read-only"), s.user(t, "anna", "operator")
	if code, body := anna("POST", base+"users/olga/?op=delete_all_authorisation_tokens", nil); code != 403 {
		t.Errorf("for another user: %d %s", code, body)
	}
	if code, body := olga("POST", base+"account/?op=delete_all_authorisation_tokens", nil); code/100 != 2 {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := olga("GET", base+"users/?op=whoami", nil); code != 401 {
		t.Errorf("after signing out: %d", code)
	}
	if code, _ := anna("GET", base+"users/?op=whoami", nil); code != 200 {
		t.Errorf("another user: %d", code)
	}
}

func TestSkewedClocksAreTold(t *testing.T) {
	s := newSite(t)
	key, err := s.api.CreateKey(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", base+"machines/", nil)
	r.Header.Set("Authorization", oauth(key, "n", time.Now().Add(6*time.Minute)))
	if code, body := s.send(r); code != 401 || !strings.Contains(body, "clocks of client and region may differ by 5m0s") {
		t.Errorf("%d %s", code, body)
	}
}

func TestAccount(t *testing.T) {
	s := newSite(t)
	key := url.Values{"key": {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJt7v6T1Yp0vJm1mJc9m7v6T1Yp0vJm1mJc9m7v6T1Yp ada@x"}}
	code, body := s.do("POST", base+"account/prefs/sshkeys/", key)
	if code != 200 || !strings.Contains(body, "ada@x") {
		t.Fatal(code, body)
	}
	if code, body := s.do("POST", base+"account/prefs/sshkeys/", key); code != 400 {
		t.Errorf("twice: %d %s", code, body)
	}
	if code, body := s.do("POST", base+"account/prefs/sshkeys/", url.Values{"key": {"ssh-rsa AAAA"}}); code != 400 || !strings.Contains(body, "public key") {
		t.Errorf("bad key: %d %s", code, body)
	}
	if code, body := s.do("DELETE", base+"account/prefs/sshkeys/1/", nil); code != 204 {
		t.Errorf("delete: %d %s", code, body)
	}
	code, body = s.do("POST", base+"account/?op=create_authorisation_token", url.Values{"name": {"ci"}})
	var token maasapi.Token
	if err := json.Unmarshal([]byte(body), &token); err != nil || code != 200 {
		t.Fatal(code, body)
	}
	if code, body := s.do("POST", base+"account/?op=update_token_name", url.Values{"token": {token.Token}, "name": {"cd"}}); code != 200 {
		t.Errorf("rename: %d %s", code, body)
	}
	if _, body := s.do("GET", base+"account/?op=list_authorisation_tokens", nil); !strings.Contains(body, `"name":"cd"`) {
		t.Errorf("tokens: %s", body)
	}
	for _, want := range []int{204, 404} {
		if code, body := s.do("POST", base+"account/?op=delete_authorisation_token", url.Values{"token_key": {token.TokenKey}}); code != want {
			t.Errorf("delete: %d %s", code, body)
		}
	}
}

// Pages of other sites cannot use the API, and answers are of no use to them.
func TestOtherSitesAreShutOut(t *testing.T) {
	s := newSite(t)
	for _, method := range []string{"GET", "POST", "OPTIONS"} {
		r := httptest.NewRequest(method, "http://maas.example"+base+"machines/", nil)
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Access-Control-Request-Method", "POST")
		w := httptest.NewRecorder()
		s.api.Handler().ServeHTTP(w, r)
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s is set", method, name)
			}
		}
		if w.Code < 400 {
			t.Errorf("%s: %d", method, w.Code)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", method, w.Header())
		}
	}
	r := httptest.NewRequest("POST", base+"machines/", strings.NewReader("hostname="+strings.Repeat("x", 2<<20)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.api.Local().ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge && w.Code != http.StatusBadRequest {
		t.Errorf("a large body: %d %s", w.Code, w.Body)
	}
}

// No request is the administrator's unless its context says so: a handler that is mounted
// without the check of keys refuses all but the public routes, and keeps nothing of the requests.
func TestNobodyMayDoNothing(t *testing.T) {
	s := newSite(t)
	for _, x := range s.api.Routes() {
		r := httptest.NewRequest(x.Method, x.Path, strings.NewReader("name=a"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Idempotency-Key", "k-"+x.Method+x.Path)
		for name, h := range map[string]http.Handler{"mux": s.api.Mux(), "handler": s.api.Handler()} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.Clone(t.Context()))
			if !x.Public && w.Code != 401 {
				t.Errorf("%s: nobody's %s %s: %d %s", name, x.Method, x.Path, w.Code, w.Body)
			}
			if w.Header().Get("Idempotent-Replayed") != "" {
				t.Errorf("%s: %s %s is answered with what was kept", name, x.Method, x.Path)
			}
		}
	}
	// The administrator's first use of a key that a stranger sent before is a first use.
	for _, path := range []string{base + "version/", "/api/v1/openapi.json", base + "nothing/"} {
		r := httptest.NewRequest("POST", path, strings.NewReader("name=rack-a"))
		r.Header.Set("Idempotency-Key", "deploy-42")
		s.api.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	if w := s.call("POST", base+"fabrics/", "name=leaf", "Idempotency-Key", "deploy-42"); w.Code != 200 {
		t.Errorf("the administrator's: %d %s", w.Code, w.Body)
	}
}
