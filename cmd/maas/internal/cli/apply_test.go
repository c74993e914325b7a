package cli

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/gomaas/maas/cmd/maas/internal/client"
)

func TestLinesOfDocuments(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"a line":   {&client.Error{Status: 400, Text: "document: line 12: subnet a: cidr: no"}, "lab.yaml:12: subnet a: cidr: no"},
		"no line":  {&client.Error{Status: 409, Text: "subnet a is in use"}, "lab.yaml: subnet a is in use"},
		"in text":  {&client.Error{Status: 400, Text: "document: zone a: line 12: odd"}, "lab.yaml: document: zone a: line 12: odd"},
		"no reply": {errors.New("connection refused"), "lab.yaml: connection refused"},
	} {
		if got := atLine("lab.yaml", test.err).Error(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if !errors.Is(atLine("-", &client.Error{Status: 403, Text: "document: line 1: no"}), fs.ErrPermission) {
		t.Error("the status is lost")
	}
}
