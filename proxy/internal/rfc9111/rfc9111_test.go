package rfc9111

import (
	"net/http"
	"testing"
	"time"
)

var received = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// response is a 200 that came at once at received, with header lines in pairs.
func response(pairs ...string) Response {
	h := http.Header{"Date": {received.Format(http.TimeFormat)}}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return Response{Status: http.StatusOK, Header: h, Requested: received, Received: received}
}

func request(pairs ...string) http.Header { h := response(pairs...).Header; h.Del("Date"); return h }

func TestReuse(t *testing.T) {
	ago := func(d time.Duration) string { return received.Add(-d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		response Response
		request  http.Header
		after    time.Duration
		want     Verdict
	}{
		"fresh":                     {response("Cache-Control", "max-age=10"), nil, 9 * time.Second, Fresh},
		"as old as its lifetime":    {response("Cache-Control", "max-age=10"), nil, 10 * time.Second, Validate},
		"s-maxage goes first":       {response("Cache-Control", "max-age=1, s-maxage=100"), nil, 50 * time.Second, Fresh},
		"max-age before Expires":    {response("Cache-Control", "max-age=1", "Expires", ago(-time.Hour)), nil, 50 * time.Second, Validate},
		"Expires":                   {response("Expires", ago(-time.Hour)), nil, 50 * time.Second, Fresh},
		"Expires: 0":                {response("Expires", "0", "Last-Modified", ago(1000*time.Hour)), nil, 0, Validate},
		"two Expires":               {response("Expires", ago(-time.Hour), "Expires", ago(-time.Hour)), nil, 0, Validate},
		"a tenth since the change":  {response("Last-Modified", ago(10*time.Hour)), nil, 59 * time.Minute, Fresh},
		"not more than a tenth":     {response("Last-Modified", ago(10*time.Hour)), nil, time.Hour, Validate},
		"Age counts":                {response("Cache-Control", "max-age=10", "Age", "8"), nil, 2 * time.Second, Validate},
		"an old Date counts":        {response("Cache-Control", "max-age=10", "Date", ""), nil, 0, Fresh},
		"no-cache":                  {response("Cache-Control", "max-age=10, no-cache"), nil, 0, Validate},
		"unreadable max-age":        {response("Cache-Control", "max-age=ten"), nil, 0, Validate},
		"the first of two max-ages": {response("Cache-Control", "max-age=10, max-age=1"), nil, 5 * time.Second, Fresh},
		"a number of 40 digits":     {response("Cache-Control", "max-age=9999999999999999999999999999999999999999"), nil, time.Hour, Fresh},
		"quoted list":               {response("Cache-Control", `x="a, max-age=0", max-age="10"`), nil, 5 * time.Second, Fresh},
		"stale-while-revalidate":    {response("Cache-Control", "max-age=10, stale-while-revalidate=5"), nil, 14 * time.Second, Refresh},
		"and its end":               {response("Cache-Control", "max-age=10, stale-while-revalidate=5"), nil, 15 * time.Second, Validate},
		"must-revalidate":           {response("Cache-Control", "max-age=10, must-revalidate, stale-while-revalidate=5"), nil, 11 * time.Second, Validate},
		"request no-cache":          {response("Cache-Control", "max-age=10"), request("Cache-Control", "no-cache"), 0, Validate},
		"request Pragma":            {response("Cache-Control", "max-age=10"), request("Pragma", "no-cache"), 0, Validate},
		"Cache-Control over Pragma": {response("Cache-Control", "max-age=10"), request("Pragma", "no-cache", "Cache-Control", "x"), 0, Fresh},
		"request max-age":           {response("Cache-Control", "max-age=10"), request("Cache-Control", "max-age=4"), 5 * time.Second, Validate},
		"request min-fresh":         {response("Cache-Control", "max-age=10"), request("Cache-Control", "min-fresh=6"), 5 * time.Second, Validate},
		"request max-stale":         {response("Cache-Control", "max-age=10"), request("Cache-Control", "max-stale=6"), 15 * time.Second, Fresh},
		"any max-stale":             {response("Cache-Control", "max-age=10"), request("Cache-Control", "max-stale"), time.Hour, Fresh},
		"max-stale and strictness":  {response("Cache-Control", "s-maxage=10"), request("Cache-Control", "max-stale"), time.Hour, Validate},
	} {
		got := FreshnessOf(c.response).Reuse(RequestDirectives(c.request), received.Add(c.after))
		if got != c.want {
			t.Errorf("%s: verdict %d, want %d", name, got, c.want)
		}
	}
}

func TestDespiteError(t *testing.T) {
	for cc, want := range map[string][2]bool{ // with a server error; with an unreachable origin
		"max-age=1":                                  {false, true},
		"max-age=1, stale-if-error=60":               {true, true},
		"max-age=1, stale-if-error=5":                {false, false},
		"max-age=1, must-revalidate":                 {false, false},
		"max-age=1, proxy-revalidate":                {false, false},
		"s-maxage=1":                                 {false, false},
		"max-age=1, no-cache, stale-if-error=60":     {false, false},
		"max-age=1, s-maxage=1, stale-if-error=3600": {false, false},
	} {
		f := FreshnessOf(response("Cache-Control", cc))
		at := received.Add(30 * time.Second)
		if got := [2]bool{f.DespiteError(nil, false, at), f.DespiteError(nil, true, at)}; got != want {
			t.Errorf("%s: %v, want %v", cc, got, want)
		}
	}
}

func TestStorable(t *testing.T) {
	login := request("Authorization", "Basic eDp5")
	with := func(status int, pairs ...string) Response { r := response(pairs...); r.Status = status; return r }
	for name, c := range map[string]struct {
		request  http.Header
		response Response
		want     bool
	}{
		"plain 200":                  {nil, response(), true},
		"no-store":                   {nil, response("Cache-Control", "no-store"), false},
		"private":                    {nil, response("Cache-Control", "private, max-age=9"), false},
		"request no-store":           {request("Cache-Control", "no-store"), response(), false},
		"206":                        {nil, with(206, "Cache-Control", "max-age=9"), false},
		"304":                        {nil, with(304, "Cache-Control", "max-age=9"), false},
		"500 alone":                  {nil, with(500), false},
		"500 with lifetime":          {nil, with(500, "Cache-Control", "max-age=9"), true},
		"authorized":                 {login, response("Cache-Control", "max-age=9"), false},
		"authorized and public":      {login, response("Cache-Control", "public"), true},
		"authorized and s-maxage":    {login, response("Cache-Control", "s-maxage=9"), true},
		"varies on everything":       {nil, response("Vary", "Accept, *"), false},
		"must-understand understood": {nil, response("Cache-Control", "no-store, must-understand, max-age=9"), true},
		"must-understand unknown":    {nil, with(599, "Cache-Control", "no-store, must-understand, max-age=9"), false},
	} {
		if got := Storable(c.request, c.response); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestUpdateKeepsWhatDescribesTheBody(t *testing.T) {
	stored := http.Header{"Content-Length": {"5"}, "Etag": {`"a"`}, "Cache-Control": {"max-age=1"}, "X-Old": {"1"}, "Age": {"7"}}
	got := Update(stored, http.Header{
		"Content-Length": {"0"}, "Etag": {`"b"`}, "Cache-Control": {"max-age=2"}, "Connection": {"x-secret"}, "X-Secret": {"1"},
	})
	if got.Get("Content-Length") != "5" || got.Get("Etag") != `"a"` || got.Get("Cache-Control") != "max-age=2" ||
		got.Get("X-Old") != "1" || got["Age"] != nil || got["X-Secret"] != nil || stored.Get("Cache-Control") != "max-age=1" {
		t.Error(got)
	}
}

func TestTargetedDirectivesCountForRoutesOnly(t *testing.T) {
	for field, want := range map[string]bool{"max-age=9": true, `max-age="9"`: false, "max-age=9;p": true, "Max-Age=9": false, "a b=1": false} {
		r := response("CDN-Cache-Control", field, "Cache-Control", "no-store")
		if Storable(nil, r) {
			t.Errorf("%s: stored for a forward proxy", field)
		}
		r.Targeted = true
		if got := Storable(nil, r); got != want {
			t.Errorf("%s: %t", field, got)
		}
	}
}

func TestNotModified(t *testing.T) {
	stored := response("Etag", `"a"`, "Last-Modified", received.Add(-time.Hour).Format(http.TimeFormat)).Header
	for name, c := range map[string]struct {
		request http.Header
		want    bool
	}{
		"same tag":        {request("If-None-Match", `"a"`), true},
		"weak":            {request("If-None-Match", `W/"a"`), true},
		"one of some":     {request("If-None-Match", `"x,y", "a"`), true},
		"any":             {request("If-None-Match", "*"), true},
		"other tag":       {request("If-None-Match", `"b"`, "If-Modified-Since", received.Format(http.TimeFormat)), false},
		"since":           {request("If-Modified-Since", received.Format(http.TimeFormat)), true},
		"changed":         {request("If-Modified-Since", received.Add(-2*time.Hour).Format(http.TimeFormat)), false},
		"no condition":    {request(), false},
		"unreadable date": {request("If-Modified-Since", "yesterday"), false},
	} {
		if got := NotModified(c.request, stored); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestRanges(t *testing.T) {
	for field, want := range map[string][2]int64{ // start and length of 10 bytes; length 0: not satisfiable, -1: ignored
		"bytes=0-0": {0, 1}, "bytes=3-": {3, 7}, "bytes=-4": {6, 4}, "bytes=-40": {0, 10}, "bytes=2-400": {2, 8},
		"bytes=10-": {0, 0}, "bytes=-0": {10, 0}, "bytes=5-2": {0, -1}, "bytes=1-2,4-5": {0, -1}, "bytes=-": {0, -1},
		"lines=1-2": {0, -1}, "bytes=+1-2": {0, -1}, "bytes=99999999999999999999-": {0, -1},
	} {
		r, ok := ParseRange(field)
		got := [2]int64{0, -1}
		if ok {
			got[0], got[1], _ = r.In(10)
		}
		if got != want {
			t.Errorf("%s: %v, want %v", field, got, want)
		}
	}
}

func FuzzFreshness(f *testing.F) {
	f.Add("max-age=10, stale-while-revalidate=5", "Sun, 22 Nov 2026 12:00:00 GMT", "7", "bytes=0-1", `"a"`)
	f.Add(`private="x, y", s-maxage`, "Sunday, 22-Nov-26 12:00:00 GMT", "-1", "bytes=-0", "*")
	f.Add(`max-age="`, "Sun Nov 22 12:00:00 2026", "99999999999999", "bytes=9-", "W/")
	f.Fuzz(func(t *testing.T, cc, date, age, span, tag string) {
		r := response("Cache-Control", cc, "CDN-Cache-Control", cc, "Expires", date, "Last-Modified", date, "Age", age, "Etag", tag, "Vary", cc)
		r.Header["Date"] = []string{date}
		for _, r.Targeted = range []bool{false, true} {
			fresh := FreshnessOf(r)
			if fresh.Age(received) < 0 {
				t.Errorf("age %s", fresh.Age(received))
			}
			verdict := fresh.Reuse(ParseDirectives(r.Header), received)
			if verdict == Fresh && ParseDirectives(r.Header).Has("no-cache") {
				t.Error("no-cache was fresh")
			}
			if Storable(nil, r) && !r.Targeted && ParseDirectives(r.Header).Has("private") {
				t.Error("private was stored")
			}
		}
		NotModified(request("If-None-Match", tag, "If-Modified-Since", date), r.Header)
		if asked, ok := ParseRange(span); ok {
			if start, length, ok := asked.In(10); ok && (start < 0 || length <= 0 || start+length > 10) {
				t.Errorf("%s: %d+%d", span, start, length)
			}
		}
	})
}

func BenchmarkFreshness(b *testing.B) {
	r := response("Cache-Control", "public, max-age=3600, stale-while-revalidate=60", "Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT")
	b.ReportAllocs()
	for b.Loop() {
		FreshnessOf(r).Reuse(nil, received)
	}
}
