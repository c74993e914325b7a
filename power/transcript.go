package power

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Transcript records what drivers and BMCs say to each other, for reports of bugs, and plays it
// back, so that a driver can be run against a BMC that one does not have. Secrets are replaced
// before they are recorded. Drivers that speak HTTP, RMCP+, SNMP or SSH take part. The zero value
// records; [ReadTranscript] makes one that plays back. Its methods may be called concurrently.
//
//	var tr power.Transcript
//	state, err := controller.Query(power.WithTranscript(ctx, &tr), target)
//	tr.WriteTo(file)
type Transcript struct {
	mu        sync.Mutex // guards the fields below
	exchanges []Exchange
	used      []bool // played back already; nil = recording
	secrets   []string
}

// An Exchange is a request to a BMC and its answer, as text.
type Exchange struct {
	Time time.Time     `json:"time"`
	Took time.Duration `json:"took"`
	// Layer names the form of the text: "http", "ipmi" with hexadecimal octets, or "snmp" with a
	// variable a line.
	Layer string `json:"layer"`
	// Request was sent and Answer received. A playback finds answers by layer and request, or by
	// the first line of the request if no recorded request equals all of it.
	Request string `json:"request"`
	Answer  string `json:"answer,omitempty"`
	// Err is the reason for a missing answer.
	Err string `json:"err,omitempty"`
}

// Limits of a transcript: how many exchanges it records, and how many octets of a request or
// answer.
const (
	maxExchanges = 10_000
	maxExchange  = 256 << 10
)

type transcriptKey struct{}

// WithTranscript makes the drivers that are opened under ctx record to the transcript, or play it
// back.
func WithTranscript(ctx context.Context, t *Transcript) context.Context {
	return context.WithValue(ctx, transcriptKey{}, t)
}

// TranscriptFrom is for drivers: the transcript that they take part in, nil when there is none.
func TranscriptFrom(ctx context.Context) *Transcript {
	t, _ := ctx.Value(transcriptKey{}).(*Transcript)
	return t
}

// Replays reports whether answers come from the transcript. A nil one does not.
func (t *Transcript) Replays() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.used != nil
}

// Record is for drivers. It adds an exchange, with the secrets taken out. A nil transcript records
// nothing.
func (t *Transcript) Record(e Exchange) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.exchanges) == maxExchanges {
		return
	}
	for _, text := range []*string{&e.Request, &e.Answer, &e.Err} {
		for _, secret := range t.secrets {
			*text = strings.ReplaceAll(*text, secret, hidden)
		}
		*text = (*text)[:min(len(*text), maxExchange)]
	}
	t.exchanges = append(t.exchanges, e)
}

const hidden = "***"

// Replay is for drivers. It returns the next recorded answer to the request, and after the last one
// that again.
func (t *Transcript) Replay(layer, request string) (Exchange, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, secret := range t.secrets {
		request = strings.ReplaceAll(request, secret, hidden)
	}
	last := t.find(func(e *Exchange) bool { return e.Layer == layer && e.Request == request })
	if last < 0 { // a driver that was mended may send another body
		line := firstLine(request)
		last = t.find(func(e *Exchange) bool { return e.Layer == layer && firstLine(e.Request) == line })
	}
	if last < 0 {
		return Exchange{}, Errorf(ActionFailed, "play back", "the transcript has no answer to this %s request: %.200s", layer, request)
	}
	t.used[last] = true
	if e := t.exchanges[last]; e.Err != "" {
		return e, Errorf(Connection, "play back", "recorded failure: %s", e.Err)
	}
	return t.exchanges[last], nil
}

// find returns the first exchange that fits and was not played back, or else the last one that
// fits, or -1.
func (t *Transcript) find(fits func(*Exchange) bool) int {
	last := -1
	for i := range t.exchanges {
		if !fits(&t.exchanges[i]) {
			continue
		}
		if last = i; !t.used[i] {
			break
		}
	}
	return last
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// hide takes note of the secrets among the parameters, in all the ways in which they travel.
func (t *Transcript) hide(k *Kind, p Params) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range k.Params {
		value := p[d.Name]
		if !d.Secret {
			for _, part := range secretsOfURL(value) {
				t.hideValue(p["power_user"], part)
			}
		} else if value != "" {
			t.hideValue(p["power_user"], value)
		}
	}
}

// minSecret is the length of the shortest value of a query that is taken for a secret: masking "1"
// would make a transcript unreadable.
const minSecret = 8

// secretsOfURL returns what of a parameter may be secret although the parameter is not: the user
// information and long values of the query of a URL, such as the key of a webhook.
func secretsOfURL(text string) (out []string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil
	}
	if pass, has := u.User.Password(); has && pass != "" {
		out = append(out, pass)
	} else if name := u.User.Username(); name != "" { // a token alone
		out = append(out, name)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) >= minSecret {
				out = append(out, v)
			}
		}
	}
	return out
}

// hideValue is called with the lock held.
func (t *Transcript) hideValue(user, value string) {
	quoted, _ := json.Marshal(value) // a string always can be
	for _, form := range []string{
		base64.StdEncoding.EncodeToString([]byte(user + ":" + value)), value, string(quoted[1 : len(quoted)-1]), url.QueryEscape(value), url.PathEscape(value),
	} {
		if !slices.Contains(t.secrets, form) {
			t.secrets = append(t.secrets, form)
		}
	}
}

// Len returns the number of exchanges.
func (t *Transcript) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.exchanges)
}

// WriteTo writes one JSON object a line.
func (t *Transcript) WriteTo(w io.Writer) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, e := range t.exchanges {
		if err := encoder.Encode(e); err != nil {
			return 0, err
		}
	}
	return b.WriteTo(w)
}

// ReadTranscript reads what [Transcript.WriteTo] has written, for playing back.
func ReadTranscript(r io.Reader) (*Transcript, error) {
	t := &Transcript{used: []bool{}}
	decoder := json.NewDecoder(r)
	for {
		var e Exchange
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err == nil && e.Layer == "" {
			err = errors.New("it has no layer")
		}
		if err == nil && len(t.exchanges) == maxExchanges {
			err = fmt.Errorf("there are more than %d", maxExchanges)
		}
		if err != nil {
			return nil, fmt.Errorf("power: exchange %d of the transcript: %w", len(t.exchanges)+1, err)
		}
		t.exchanges, t.used = append(t.exchanges, e), append(t.used, false)
	}
}
