package maasapi_test

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of routes into ENDPOINTS.md")

// ENDPOINTS.md ends with the table of routes that are served.
func TestEndpointsListTheRoutes(t *testing.T) {
	const heading = "## Every route\n\n"
	text, err := os.ReadFile("ENDPOINTS.md")
	if err != nil {
		t.Fatal(err)
	}
	above, got, found := strings.Cut(string(text), heading)
	want := newSite(t).api.RouteTable()
	if *update {
		if err := os.WriteFile("ENDPOINTS.md", []byte(above+heading+want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); !found || diff != "" {
		t.Errorf("run go test -run TestEndpointsListTheRoutes -update (-want +got)\n%s", diff)
	}
}

// The table says of each endpoint what the API does.
func TestEndpointsAreAsTheTableSays(t *testing.T) {
	text, err := os.ReadFile("ENDPOINTS.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.create(t, node1)
	query := map[string]string{"events/": "?op=query", "maas/": "?op=get_config&name=http_proxy", "account/": "?op=list_authorisation_tokens"}
	path := regexp.MustCompile("`([^`]*/)`")
	rows := 0
	text, _, _ = bytes.Cut(text, []byte("## Every route"))
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], "`") {
			continue
		}
		for _, found := range path.FindAllStringSubmatch(cells[1], -1) {
			rows++
			code, body := s.do("GET", base+found[1]+query[found[1]], nil)
			if missing := code == http.StatusNotImplemented; missing != (strings.TrimSpace(cells[2]) == "no") {
				t.Errorf("%s is said to be %q and answers %d %s", found[1], strings.TrimSpace(cells[2]), code, body)
			}
		}
	}
	if rows < 30 {
		t.Errorf("only %d rows were understood", rows)
	}
}
