package guide_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/guide"
	"github.com/gomaas/maas/pxe"
)

// Each cause of a failed boot and each check of `maas doctor` has a section, and no section is about
// something else.
func TestEveryDiagnosisHasASection(t *testing.T) {
	source, err := os.ReadFile("../internal/doctor/check.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, cause := range pxe.Causes() {
		want = append(want, guide.OfBoot(cause))
	}
	for _, m := range regexp.MustCompile(`r\.(?:add|fine)\("([a-z_ ]+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, guide.OfCheck(m[1]))
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if len(want) < 40 {
		t.Fatalf("only %d diagnoses are found", len(want))
	}
	for _, at := range want {
		name, anchor, _ := strings.Cut(at, "#")
		p, _ := guide.Find(name)
		if text, found := p.Section(anchor); !found || strings.Count(text, "\n") < 3 {
			t.Errorf("no section is at %s (%q)", at, text)
		}
	}
	p, _ := guide.Find("troubleshooting")
	_, sections, _ := p.HTML("")
	for _, s := range sections {
		at := "troubleshooting#" + s.Anchor
		if (strings.HasPrefix(s.Anchor, "boot-") || strings.HasPrefix(s.Anchor, "doctor-")) && !slices.Contains(want, at) {
			t.Errorf("the section %s is about no diagnosis", at)
		}
	}
}
