package openapi

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestYAML(t *testing.T) {
	const text = `{"zones":[{"name":"a","tags":[],"more":{"x":{"y":[1,[2,3],[],{"z":null}]}}},{"name":"b"}],"on":true,"mac":"52:54:00:12:34:56","net":"192.0.2.0/24","none":{},"big":12345678901234567890,"f":1.50}`
	const want = `zones:
- name: a
  tags: []
  more:
    x:
      "y":
      - 1
      - - 2
        - 3
      - []
      - z: null
- name: b
"on": true
mac: "52:54:00:12:34:56"
net: 192.0.2.0/24
none: {}
big: 12345678901234567890
f: 1.50
`
	got, err := YAML([]byte(text))
	if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for _, bad := range []string{"", "{", `{"a"`, "[1"} {
		if _, err := YAML([]byte(bad)); err == nil {
			t.Errorf("%q was written", bad)
		}
	}
	for in, want := range map[string]string{"[]": "[]\n", "7": "7\n", `"a"`: "a\n", "null": "null\n", "[[1]]": "- - 1\n"} {
		if got, err := YAML([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", in, got, err)
		}
	}
}

// oddTexts are those that readers of YAML take for something else when they are not quoted.
var oddTexts = []string{
	"", "yes", "No", "null", "~", "1e3", "0x10", "1_000", "2020-01-01", "01:02", " lead", "trail ", "a: b", "a #b", "# c", `"q"`, "it's", "- x", "[a]", "{b}", "%d", "@x",
	"!t", "&a", "*b", "|", ">", "=", "<<", "?", ": ", "---", "...", "ä☃💥", "two\nlines", "tab\tx", "cr\rx", "nel\u0085x", "ls\u2028x", "bom\ufeffx", `\n`, `\u0041`, "NaN", ".inf", "-0",
	"0o17", "''", `""`, "\u00a0", "x\n", "\n\nx", "  two\n one", "+1", "1,000", "`", "fd00::", "52:54:00:12:34:56", "a:", "1.0", "192.0.2.1", "x -y", "<a&b>", "\x7f", "\x01",
}

func TestYAMLReadsBack(t *testing.T) {
	for _, text := range oddTexts {
		object, err := json.Marshal(map[string][]string{text: {text}})
		if err != nil {
			t.Fatal(err)
		}
		wrote, err := YAML(object)
		var got map[string][]string
		if rerr := yaml.Unmarshal(wrote, &got); err != nil || rerr != nil || len(got[text]) != 1 || got[text][0] != text {
			t.Errorf("%q: wrote %q, read %q: %v, %v", text, wrote, got, err, rerr)
		}
	}
}

// What only readers of YAML 1.1 take for flags, numbers, times and merges is quoted; the reader of these tests would not mind.
func TestYAMLQuotesForOldReaders(t *testing.T) {
	for _, text := range []string{
		"y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "on", "On", "ON", "off", "OFF", "TRUE", "False", "~", "null", "Null", ".inf", "-.INF", ".nan",
		"1_000", "0b1_0", "0x1_F", "0755", "0o17", "01:02", "190:20:30", "20:30.15", "1e3", "6.8_5e+1", "+1", "-0", "1.", ".5", "685_230.15",
		"2020-01-01", "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "<<", "=", "",
	} {
		object, err := json.Marshal(map[string]string{text: text})
		if err != nil {
			t.Fatal(err)
		}
		quoted := strconv.Quote(text)
		if got, err := YAML(object); err != nil || string(got) != quoted+": "+quoted+"\n" {
			t.Errorf("%q is written as %s, %v; want it in quotes", text, got, err)
		}
	}
}
