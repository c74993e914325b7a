package rfc9111

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestDirectives(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  Directives
	}{
		"none":           {nil, nil},
		"empty line":     {[]string{""}, Directives{}},
		"two lines":      {[]string{"no-cache", "max-age=1"}, Directives{"no-cache": "", "max-age": "1"}},
		"names are low":  {[]string{"Max-Age=1, NO-STORE"}, Directives{"max-age": "1", "no-store": ""}},
		"the first wins": {[]string{"max-age=1, max-age=2"}, Directives{"max-age": "1"}},
		"quoted comma":   {[]string{`private="a, b", public`}, Directives{"private": "a, b", "public": ""}},
		"escaped quote":  {[]string{`x="a\",b", y`}, Directives{"x": `a\",b`, "y": ""}},
		"open quote":     {[]string{`x="a, y`}, Directives{"x": `"a, y`}},
		"only commas":    {[]string{",, ,"}, Directives{}},
		"space at equal": {[]string{"max-age =1"}, Directives{"max-age": "1"}},
		"no name":        {[]string{"=1"}, Directives{}},
	} {
		got := ParseDirectives(http.Header{"Cache-Control": c.lines})
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	d := Directives{"a": "10", "empty": "", "word": "ten", "negative": "-1", "fraction": "1.5", "huge": "4294967296"}
	for name, want := range map[string]struct {
		v  time.Duration
		ok bool
	}{
		"a": {10 * time.Second, true}, "missing": {0, false}, "empty": {0, true}, "word": {0, true},
		"negative": {0, true}, "fraction": {0, true}, "huge": {maxDelta, true},
	} {
		if v, ok := d.Seconds(name); v != want.v || ok != want.ok {
			t.Errorf("%s: %s %t, want %s %t", name, v, ok, want.v, want.ok)
		}
	}
}

// A validator is strong if it is an entity tag that is not weak, or a change that lies well before the response.
func TestStrongValidator(t *testing.T) {
	ago := func(d time.Duration) string { return received.Add(-d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		h    http.Header
		want string
	}{
		"tag":                     {response("Etag", `"a"`).Header, `"a"`},
		"weak tag":                {response("Etag", `W/"a"`).Header, ""},
		"weak tag hides the time": {response("Etag", `W/"a"`, "Last-Modified", ago(time.Hour)).Header, ""},
		"tag without quotes":      {response("Etag", "a").Header, ""},
		"changed long ago":        {response("Last-Modified", ago(time.Hour)).Header, ago(time.Hour)},
		"changed just now":        {response("Last-Modified", ago(time.Second)).Header, ""},
		"changed a minute ago":    {response("Last-Modified", ago(settled)).Header, ago(settled)},
		"unreadable time":         {response("Last-Modified", "yesterday").Header, ""},
		"without Date":            {request("Last-Modified", ago(time.Hour)), ""},
		"nothing":                 {http.Header{}, ""},
	} {
		if got := StrongValidator(c.h); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSameStrongly(t *testing.T) {
	at := func(d time.Duration) string { return received.Add(-d).Format(http.TimeFormat) }
	tag, other := response("Etag", `"a"`).Header, response("Etag", `"b"`).Header
	old, older := response("Last-Modified", at(time.Hour)).Header, response("Last-Modified", at(2*time.Hour)).Header
	both := response("Etag", `"a"`, "Last-Modified", at(time.Hour)).Header
	for name, c := range map[string]struct {
		a, b http.Header
		want bool
	}{
		"same tag":              {tag, response("Etag", `"a"`).Header, true},
		"other tag":             {tag, other, false},
		"the tag became weak":   {tag, response("Etag", `W/"a"`).Header, false},
		"the tag is gone":       {both, old, false},
		"same time":             {old, response("Last-Modified", at(time.Hour)).Header, true},
		"other time":            {old, older, false},
		"a tag came to be":      {old, both, false},
		"nothing to compare":    {http.Header{}, http.Header{}, false},
		"weak tags are not it":  {response("Etag", `W/"a"`).Header, response("Etag", `W/"a"`).Header, false},
		"time without the tags": {both, both, true},
	} {
		if got := SameStrongly(c.a, c.b); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestContentRange(t *testing.T) {
	for field, want := range map[string][3]int64{ // zeros: not usable
		"bytes 0-0/1":                      {0, 0, 1},
		"bytes 2-5/10":                     {2, 5, 10},
		"bytes 5-2/10":                     {},
		"bytes 2-10/10":                    {},
		"bytes 2-5/*":                      {},
		"bytes */10":                       {},
		"bytes=2-5/10":                     {},
		"items 2-5/10":                     {},
		"bytes -2-5/10":                    {},
		"bytes 2-5":                        {},
		"bytes 2/10":                       {},
		"bytes 0-9999999999999999999/1":    {},
		"bytes 0-1/1234567890123456789012": {},
		"":                                 {},
	} {
		first, last, total, ok := ContentRange(field)
		if !ok {
			first, last, total = 0, 0, 0
		}
		if got := [3]int64{first, last, total}; got != want || ok != (want != [3]int64{}) {
			t.Errorf("%q: %v %t, want %v", field, got, ok, want)
		}
	}
}

func TestRangeApplies(t *testing.T) {
	stored := response("Etag", `"a"`, "Last-Modified", "Sun, 22 Nov 2026 11:00:00 GMT").Header
	for condition, want := range map[string]bool{
		"": true, `"a"`: true, `"b"`: false, `W/"a"`: false,
		"Sun, 22 Nov 2026 11:00:00 GMT": true, "Sun, 22 Nov 2026 11:00:01 GMT": false, "nonsense": false,
	} {
		if got := RangeApplies(request("If-Range", condition), stored); got != want {
			t.Errorf("%q: %t", condition, got)
		}
	}
	if !RangeApplies(http.Header{}, http.Header{}) {
		t.Error("a range without a condition does not apply")
	}
}

func TestHopByHopFieldsAreRemoved(t *testing.T) {
	h := request("Connection", "close, X-Own", "X-Own", "1", "Te", "trailers", "Upgrade", "h2c", "Keep-Alive", "5", "Proxy-Authorization", "Basic x",
		"Transfer-Encoding", "chunked", "Accept", "a", "Authorization", "Basic y")
	RemoveHopByHop(h)
	if got := slices.Sorted(maps.Keys(h)); !slices.Equal(got, []string{"Accept", "Authorization"}) {
		t.Errorf("%q remain", got)
	}
}

func TestAddValidators(t *testing.T) {
	r := request("If-None-Match", `"client"`, "Range", "bytes=1-", "If-Range", `"client"`, "Accept", "a")
	if AddValidators(r, http.Header{}) || len(r) != 1 {
		t.Errorf("nothing stored: %v", r)
	}
	stored := http.Header{"Etag": {`"a"`}, "Last-Modified": {"Sun, 22 Nov 2026 11:00:00 GMT"}}
	if !AddValidators(r, stored) || r.Get("If-None-Match") != `"a"` || r.Get("If-Modified-Since") != stored.Get("Last-Modified") {
		t.Errorf("both stored: %v", r)
	}
}

// A 304 answers about what is stored only if it has its tag, or none.
func TestAnswers(t *testing.T) {
	for tags, want := range map[[2]string]bool{
		{`"a"`, ""}: true, {`"a"`, `"a"`}: true, {`"a"`, `W/"a"`}: true, {`W/"a"`, `"a"`}: true, {`"a"`, `"b"`}: false, {"", `"b"`}: false, {"", ""}: true,
	} {
		if got := Answers(http.Header{"Etag": {tags[0]}}, http.Header{"Etag": {tags[1]}}); got != want {
			t.Errorf("stored %s, answered %s: %t", tags[0], tags[1], got)
		}
	}
}

func TestVary(t *testing.T) {
	h := http.Header{"Vary": {"accept, Accept-Encoding", " ,accept-ENCODING"}}
	if got := VaryNames(h); !slices.Equal(got, []string{"Accept", "Accept-Encoding"}) {
		t.Errorf("%q", got)
	}
	if VaryNames(nil) != nil {
		t.Error("no field has names")
	}
	one, two := http.Header{"Accept": {"a, b"}}, http.Header{"Accept": {" a", "b "}}
	if VaryValue(one, "Accept") != VaryValue(two, "Accept") || VaryValue(one, "Accept") == VaryValue(http.Header{"Accept": {"b, a"}}, "Accept") {
		t.Errorf("%q, %q", VaryValue(one, "Accept"), VaryValue(two, "Accept"))
	}
}

// An operator's rule outweighs what the response says, and what the client wants.
func TestOverride(t *testing.T) {
	strict := FreshnessOf(response("Cache-Control", "no-cache, must-revalidate", "Age", "100"))
	long := strict.Override(time.Hour)
	for after, want := range map[time.Duration]Verdict{0: Fresh, 59 * time.Minute: Fresh, time.Hour: Validate} {
		if got := long.Reuse(Directives{"no-cache": ""}, received.Add(after)); got != want {
			t.Errorf("an hour, after %s: %d, want %d", after, got, want)
		}
	}
	none := FreshnessOf(response("Cache-Control", "max-age=100, stale-while-revalidate=100")).Override(0)
	if got := none.Reuse(nil, received); got != Validate {
		t.Errorf("no lifetime: %d", got)
	}
	if !none.DespiteError(nil, true, received.Add(time.Hour)) {
		t.Error("no lifetime: not used while the origin is away")
	}
}

// A suggestion replaces a guess, not what the origin says.
func TestSuggest(t *testing.T) {
	guessed := []string{"Last-Modified", received.Add(-1000 * time.Hour).UTC().Format(time.RFC1123), "Age", "100"}
	for _, c := range []struct {
		fields  []string
		request Directives
		after   time.Duration
		want    Verdict
	}{
		{nil, nil, 59 * time.Second, Fresh}, {nil, nil, time.Minute, Validate},
		{guessed, nil, 59 * time.Second, Fresh}, {guessed, nil, time.Minute, Validate},
		{nil, Directives{"no-cache": ""}, 0, Validate}, {nil, Directives{"max-age": "0"}, 0, Validate}, {nil, Directives{"max-age": "30"}, 20 * time.Second, Fresh},
		{[]string{"Cache-Control", "max-age=10"}, nil, 9 * time.Second, Fresh}, {[]string{"Cache-Control", "max-age=10"}, nil, 10 * time.Second, Validate},
		{[]string{"Cache-Control", "max-age=3600"}, nil, 59 * time.Minute, Fresh}, {[]string{"Cache-Control", "max-age=3600", "Age", "3600"}, nil, 0, Validate},
		{[]string{"Cache-Control", "no-cache"}, nil, 0, Validate}, {[]string{"Expires", "0"}, nil, 0, Validate},
	} {
		if got := FreshnessOf(response(c.fields...)).Suggest(time.Minute).Reuse(c.request, received.Add(c.after)); got != c.want {
			t.Errorf("%q for %v after %s: %d, want %d", c.fields, c.request, c.after, got, c.want)
		}
	}
}

// While the body arrives, a suggested lifetime is no shorter than a minute.
func TestArriving(t *testing.T) {
	for _, c := range []struct {
		f       Freshness
		request Directives
		after   time.Duration
		want    Verdict
	}{
		{FreshnessOf(response()).Suggest(0), nil, 59 * time.Second, Fresh},
		{FreshnessOf(response()).Suggest(0), nil, time.Minute, Validate},
		{FreshnessOf(response()).Suggest(0), Directives{"no-cache": ""}, 0, Validate},
		{FreshnessOf(response()).Suggest(time.Hour), nil, 59 * time.Minute, Fresh},
		{FreshnessOf(response("Cache-Control", "no-cache")).Suggest(time.Hour), nil, 0, Validate},
		{FreshnessOf(response("Cache-Control", "max-age=0")).Suggest(time.Hour), nil, 0, Validate},
		{FreshnessOf(response()).Override(0), nil, 0, Validate},
	} {
		if got := c.f.Arriving().Reuse(c.request, received.Add(c.after)); got != c.want {
			t.Errorf("%+v for %v after %s: %d, want %d", c.f, c.request, c.after, got, c.want)
		}
	}
}

// What can be neither reused nor validated is not worth keeping.
func TestUseful(t *testing.T) {
	for name, c := range map[string]struct {
		r    Response
		want bool
	}{
		"lifetime":              {response("Cache-Control", "max-age=1"), true},
		"tag":                   {response("Etag", `"a"`), true},
		"time":                  {response("Last-Modified", "Sun, 22 Nov 2026 11:00:00 GMT"), true},
		"nothing":               {response(), false},
		"used up on its way":    {response("Cache-Control", "max-age=10", "Age", "10"), false},
		"no-cache":              {response("Cache-Control", "max-age=10, no-cache"), false},
		"no-cache with its tag": {response("Cache-Control", "no-cache", "Etag", `"a"`), true},
	} {
		if got := FreshnessOf(c.r).Useful(c.r.Header); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Age counts the way to the origin, what the origin says, and the time in the cache.
func TestAge(t *testing.T) {
	r := response("Age", "7, 9")
	r.Requested = received.Add(-3 * time.Second)
	f := FreshnessOf(r)
	for after, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Minute: 70 * time.Second, -time.Hour: 10 * time.Second} {
		if got := f.Age(received.Add(after)); got != want {
			t.Errorf("after %s: %s, want %s", after, got, want)
		}
	}
	late := response()
	late.Received = received.Add(5 * time.Second)
	late.Requested = late.Received
	if got := FreshnessOf(late).Age(late.Received); got != 5*time.Second {
		t.Errorf("a Date of 5 s ago: %s", got)
	}
}
