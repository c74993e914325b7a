package guide_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/guide"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// unindented returns a text without spaces around its lines.
func unindented(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

// The snippets of guides are those of the packages' examples, which run with the tests.
func TestSnippetsAreExamples(t *testing.T) {
	var examples strings.Builder
	for _, pattern := range []string{"../../../*/example*_test.go", "../../../*/*/example*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			examples.WriteString(unindented(string(data)) + "\n")
		}
	}
	count := 0
	for _, p := range guide.Pages() {
		for _, m := range goBlock.FindAllStringSubmatch(p.Source, -1) {
			if count++; !strings.Contains(examples.String(), unindented(m[1])) {
				t.Errorf("%s: no example has this snippet:\n%s", p.Name, m[1])
			}
		}
	}
	if count < 4 {
		t.Errorf("only %d snippets are found", count)
	}
}
