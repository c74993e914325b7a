package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNearest(t *testing.T) {
	names := []string{"default", "north", "northeast", "south"}
	for word, want := range map[string]string{"nroth": "north", "defualt": "default", "Nort": "north northeast", "xyzzy": "", "": ""} {
		if got := strings.Join(nearest(word, names), " "); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// TestResources checks that the table is complete: each command has what its user needs.
func TestResources(t *testing.T) {
	app, err := newParser()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resources() {
		if child(app.Model.Node, r.name) == nil {
			t.Errorf("%s: there is no such command", r.name)
		}
		if r.help == "" || r.collection == "" || r.id == "" || len(r.columns) == 0 {
			t.Errorf("%s: is not complete", r.name)
		}
		for _, name := range strings.Split(r.bare, "-") {
			if name != "" && !r.hasField(name) {
				t.Errorf("%s: the first argument stands for %s, which is no field", r.name, name)
			}
		}
		for verb := range r.ops {
			if child(child(app.Model.Node, r.name), verb) == nil {
				t.Errorf("%s %s: there is no such command", r.name, verb)
			}
		}
	}
}

func TestAssignments(t *testing.T) {
	subnet := resourceNamed("subnet")
	got, err := subnet.assignments([]string{"192.0.2.0/24", "dns-servers=192.0.2.1", "dns_servers=192.0.2.2", "name=a=b"})
	want := map[string][]string{"cidr": {"192.0.2.0/24"}, "dns_servers": {"192.0.2.1", "192.0.2.2"}, "name": {"a=b"}}
	if diff := cmp.Diff(want, map[string][]string(got)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, args := range [][]string{{"cidr=x", "bare"}, {"colour=red"}, {"name=@missing"}} {
		if _, err := subnet.assignments(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestDifferences(t *testing.T) {
	before, after := json.RawMessage(`{"name":"a","mtu":1500,"old":true,"servers":["x"]}`), json.RawMessage(`{"name":"a","mtu":9000,"servers":["x","y"],"new":"z"}`)
	want := []string{"mtu: 1500 -> 9000", "servers: [x] -> [x, y]", "new: z", "old: true -> nothing"}
	if diff := cmp.Diff(want, differences(before, after)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestManualHasEveryCommand(t *testing.T) {
	app, err := newParser()
	if err != nil {
		t.Fatal(err)
	}
	page := manual(app.Model)
	for _, want := range []string{`.B maas subnet create`, `.B maas login`, `.B \-\-dry\-run`, `.SH FILES`} {
		if !strings.Contains(page, want) {
			t.Errorf("the manual page has no %q", want)
		}
	}
	if strings.Contains(page, "__complete") || strings.Contains(page, "${") {
		t.Error("the manual page has what is not for people")
	}
}
