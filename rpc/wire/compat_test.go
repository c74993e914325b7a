package wire_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/wire"
)

// recordedFile holds what the first version said. It is never changed: what is said differently later goes into another file.
const recordedFile = "testdata/v1.json"

// recorded is the conversation of a rack and a region. Bodies are text, streams hexadecimal.
type recorded struct {
	Hello       string `json:"hello"`        // rack's body
	HelloAnswer string `json:"hello_answer"` // of a region that told nothing of itself
	Next        string `json:"next"`
	Update      string `json:"update"` // stream
	Facts       string `json:"facts"`
	FactsAnswer string `json:"facts_answer"`
	Call        string `json:"call"` // of method double
	CallAnswer  string `json:"call_answer"`
	Unknown     string `json:"unknown_method_answer"`
	Announce    string `json:"announcement"` // stream: a call of method double
	Answer      string `json:"answer"`       // to it
}

// wanted holds the content of the update.
var wanted = rpc.Update{Topic: "dns", Position: rpc.Position{Epoch: "E1", Revision: 7}, Objects: []rpc.Object{
	{Key: "a", Value: []byte("first")}, {Key: "b", Deleted: true}, {Key: "c"},
}}

func readRecorded(t *testing.T) (r recorded) {
	t.Helper()
	text, err := os.ReadFile(recordedFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rackHTTP is the transport of a rack of any version: HTTP/2 over mutual TLS.
func (s *site) rackHTTP(t *testing.T) *http.Client {
	t.Helper()
	cfg, err := s.identity(t, "rack-1").TLS()
	if err != nil {
		t.Fatal(err)
	}
	cfg.MinVersion, cfg.NextProtos = tls.VersionTLS13, []string{"h2"}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	tr := &http.Transport{Protocols: &protocols, TLSClientConfig: cfg}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// An old rack talks to the region of today: what it says is understood, and what it is told begins as it always did.
func TestAnOldRackAndANewRegion(t *testing.T) {
	var methods rpc.Methods
	rpc.Offer(&methods, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	var taken []rpc.Fact
	region := rpc.NewRegion(rpc.RegionConfig{Methods: &methods, Facts: func(_ context.Context, _ string, facts []rpc.Fact) error {
		taken = append(taken, facts...)
		return nil
	}})
	region.State("rack-1").Set("dns", map[string][]byte{"a": []byte("first"), "c": {}})
	s := newSite(t, region)
	client, old := s.rackHTTP(t), readRecorded(t)
	post := func(path, body string) string {
		t.Helper()
		resp, err := client.Post("https://"+s.address+path, "", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v", path, resp.Status, err)
		}
		return strings.TrimSpace(string(out))
	}
	if got := post("/rpc/1/hello", old.Hello); !json.Valid([]byte(got)) {
		t.Errorf("hello: %s", got)
	}
	stream := []byte(post("/rpc/1/next", old.Next))
	if want := unhex(t, old.Update); !bytes.Equal(stream[:1], want[:1]) || !bytes.Contains(stream, []byte(`"key":"a"`)) || !bytes.Contains(stream, []byte("first")) {
		t.Errorf("update: %x", stream)
	}
	if got := post("/rpc/1/facts", old.Facts); got != old.FactsAnswer || len(taken) != 2 || taken[1].Seq != 5 || taken[1].Outbox != "OUT" {
		t.Errorf("facts: %s, %+v", got, taken)
	}
	if got := post("/rpc/1/call/double", old.Call); got != old.CallAnswer {
		t.Errorf("call: %s, want %s", got, old.CallAnswer)
	}
	if got := post("/rpc/1/call/absent", old.Call); got != old.Unknown {
		t.Errorf("unknown method: %s, want %s", got, old.Unknown)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", "https://"+s.address+"/rpc/1/accept", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	doubled := make(chan int, 1)
	go func() {
		n, err := rpc.Do[int](t.Context(), region.Rack("rack-1"), "double", 21)
		if err != nil {
			t.Error(err)
		}
		doubled <- n
	}()
	want := unhex(t, old.Announce)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("announcement %q, want %q: %v", got, want, err)
	}
	post("/rpc/1/answer/1", old.Answer)
	if n := <-doubled; n != 42 {
		t.Errorf("the rack's answer is %d", n)
	}
}

// later is the update of a region that is newer than this rack: it has further kinds of messages and fields.
func later(t *testing.T, old []byte) []byte {
	t.Helper()
	unknown := append([]byte{200, 0, 0, 7}, "unknown"...)
	text := bytes.Replace(old, []byte(`"topic":"dns"`), []byte(`"topic":"dns","later":[{"x":1}]`), 1)
	added := len(text) - len(old)
	if added == 0 || added > 200 {
		t.Fatalf("%d bytes added", added)
	}
	text[3] += byte(added) // the length of the first message
	return append(unknown, text...)
}

// oldRegion answers with what was recorded. The channel gets the answers to the announced call.
func oldRegion(t *testing.T, s *site, old recorded, update []byte, announced []byte) (address string, answered chan string) {
	t.Helper()
	cfg := s.ca.RegionTLS()
	cfg.MinVersion, cfg.NextProtos, cfg.ClientAuth = tls.VersionTLS13, []string{"h2"}, tls.RequireAndVerifyClientCert
	answered = make(chan string, 1)
	mux := http.NewServeMux()
	reply := func(path, body string) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body+"\n") })
	}
	reply("/rpc/1/hello", old.HelloAnswer)
	reply("/rpc/1/facts", old.FactsAnswer)
	reply("/rpc/1/call/double", old.CallAnswer)
	reply("/rpc/1/call/absent", old.Unknown)
	mux.HandleFunc("POST /rpc/1/next", func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"later"`) {
			<-r.Context().Done() // a topic that it never has anything of
			return
		}
		_, _ = w.Write(update)
	})
	mux.HandleFunc("POST /rpc/1/accept", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(announced)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("POST /rpc/1/answer/1", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answered <- string(body)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	srv := &http.Server{Handler: mux, Protocols: &protocols, TLSConfig: cfg}
	done := make(chan error, 1)
	go func() { done <- srv.ServeTLS(ln, "", "") }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().String(), answered
}

// The rack of today talks to an old region, and to a newer one, whose further fields, messages and topics it passes over.
func TestANewRackAndOtherRegions(t *testing.T) {
	old := readRecorded(t)
	for name, update := range map[string][]byte{"older": unhex(t, old.Update), "newer": later(t, unhex(t, old.Update))} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rpc.NewRegion(rpc.RegionConfig{}))
			id := s.identity(t, "rack-1")
			at, answered := oldRegion(t, s, old, update, unhex(t, old.Announce))
			d := &wire.Dialer{Regions: func() []string { return []string{at} }, TLS: id.TLS}
			conn, err := d.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.(io.Closer).Close()
			if name := wire.RegionOf(conn); name != "" {
				t.Errorf("its name is %q", name)
			}
			u, err := conn.Next(t.Context(), "dns", rpc.Position{})
			if diff := cmp.Diff(wanted, u); diff != "" || err != nil {
				t.Errorf("%v, (-want +got)\n%s", err, diff)
			}
			short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if _, err := conn.Next(short, "later", rpc.Position{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a topic that it does not have: %v", err)
			}
			if err := conn.Deliver(t.Context(), []rpc.Fact{{Outbox: "OUT", Seq: 4, Kind: "lease", Data: []byte("1")}}); err != nil {
				t.Error(err)
			}
			if n, err := rpc.Do[int](t.Context(), conn, "double", 21); n != 42 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if _, err := rpc.Do[int](t.Context(), conn, "absent", 21); !errors.Is(err, rpc.ErrUnknownMethod) {
				t.Errorf("a method that it does not have: %v", err)
			}
			var methods rpc.Methods
			rpc.Offer(&methods, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
			accepting, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan error, 1)
			go func() { ended <- conn.Accept(accepting, &methods) }()
			if got := <-answered; got != old.Answer {
				t.Errorf("answer %s, want %s", got, old.Answer)
			}
			stop()
			if err := <-ended; err == nil {
				t.Error("Accept ended without an error")
			}
		})
	}
}
