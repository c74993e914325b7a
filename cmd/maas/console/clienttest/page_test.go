package clienttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// violation is a finding of axe.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// axe is the program that looks for violations. Each look runs it alone: a page is loaded once for
// all of its looks.
var axe = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("testdata/axe-4.14.1.min.js")
	return string(text), err
})

// look is a way in which a page is looked at.
type look struct {
	name  string
	dark  bool
	width int64
	rules string // that axe checks
}

// looks are the ways in which each page is looked at. What is dark differs in nothing but color.
var looks = []look{
	{"light", false, 1280, allRules}, {"dark", true, 1280, colorRules}, {"phone, light", false, phone, allRules}, {"phone, dark", true, phone, colorRules},
}

const (
	phone      = 390
	allRules   = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]`
	colorRules = `["color-contrast", "link-in-text-block"]`
)

// set changes how the browser shows the page.
func (l look) set() chromedp.Action {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	return chromedp.Tasks{
		chromedp.EmulateViewport(l.width, 900),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
	}
}

// accessible reports what axe finds on the page that is open, and whether it is wider than the
// window.
func accessible(t *testing.T, ctx context.Context, path string) {
	t.Helper()
	program, err := axe()
	ok(t, err)
	ok(t, chromedp.Run(ctx, chromedp.Evaluate(program, nil)))
	for _, l := range looks {
		var text string
		var wide int64
		run := `axe.run({runOnly: ` + l.rules + `, resultTypes: ["violations"], elementRef: false}).then(r => JSON.stringify(r.violations))`
		ok(t, chromedp.Run(ctx, l.set(), chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide), chromedp.Evaluate(run, &text, awaited)))
		if wide > l.width {
			t.Errorf("%s (%s): the page is %d pixels wide", path, l.name, wide)
		}
		var found []violation
		ok(t, json.Unmarshal([]byte(text), &found))
		for _, v := range found {
			if v.Impact == "serious" || v.Impact == "critical" {
				t.Errorf("%s (%s): %s (%s): %s: %s\n%s", path, l.name, v.ID, v.Impact, v.Help, v.Nodes[0].HTML, v.Nodes[0].Summary)
			}
		}
	}
}

// links returns the pages that the page at an address leads to, itself included.
func links(t *testing.T, base string) []string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", base+"/machines", nil)
	ok(t, err)
	res, err := http.DefaultClient.Do(req)
	ok(t, err)
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(res.Body)
	ok(t, err)
	machine := regexp.MustCompile(`href="(/machines/[a-z0-9]{6})"`).FindStringSubmatch(b.String())
	if machine == nil {
		t.Fatal("no machine")
	}
	return []string{
		"/", "/boots", "/machines", machine[1], "/machines/new?type=ipmi", "/networks", "/networks/subnets/1", "/addresses/172.30.0.1", "/addresses/172.30.0.77", "/leases",
		"/leases/history", "/devices", "/names", "/racks", "/racks/rack", "/images", "/doctor", "/events", "/audit", "/docs", "/docs?q=vlan", "/docs/troubleshooting", "/docs/nothing", "/nothing",
	}
}

// Every page is free of serious findings of axe, and reads as text.
func TestPagesAreAccessible(t *testing.T) {
	netlab.Require(t, netlab.Program("w3m", "w3m"))
	base := try(t)
	ctx := browse(t)
	for _, path := range links(t, base) {
		ok(t, chromedp.Run(ctx, chromedp.Navigate(base+path), chromedp.WaitReady("main")))
		accessible(t, ctx, path)
		out, err := exec.CommandContext(t.Context(), "w3m", "-dump", "-T", "text/html", base+path).Output()
		ok(t, err)
		var title string
		ok(t, chromedp.Run(ctx, chromedp.Text("h1", &title)))
		if title = strings.TrimSpace(strings.SplitN(title, "\n", 2)[0]); !strings.Contains(string(out), strings.Fields(title)[0]) {
			t.Errorf("%s: %q is not in the text:\n%s", path, title, out)
		}
	}
}

// The answers to forms are, too: a refused token, a question, a result, a refusal, and two versions.
func TestAnswersAreAccessible(t *testing.T) {
	base := try(t)
	ctx := browse(t)
	ok(t, chromedp.Run(ctx)) // the browser must not be of a step
	machine := links(t, base)[3]
	send := func(form, change string) chromedp.Action { // without what the browser itself would refuse
		return chromedp.Evaluate(`{const f = document.querySelector('form[action="`+form+`"]'); `+change+`; f.noValidate = true; setTimeout(() => f.submit())}; 0`, nil)
	}
	for _, x := range []struct{ name, path, form, change, shows string }{
		{"refused token", "/racks", "/racks/tokens", "", ".problem"},
		{"question", "/machines", "/machines/bulk", `document.querySelector("input[name=id]").checked = true; document.querySelector("select[name=action]").value = "lock"`, `input[name=sure]`},
		{"refusal", machine, "/do/machine-update", `f.hostname.value = "not a name!"`, ".problem"},
		{"two versions", machine, "/do/machine-update", `f.version.value = "0"; f.description.value = "mine"`, "table"},
	} {
		step, end := context.WithTimeout(ctx, patience/4)
		err := chromedp.Run(step, chromedp.Navigate(base+x.path), chromedp.WaitReady("main"), send(x.form, x.change), chromedp.WaitReady(x.shows))
		end()
		if err != nil {
			var text string
			_ = chromedp.Run(ctx, chromedp.Text("main", &text))
			t.Fatalf("%s: %v: the page has %q", x.name, err, text)
		}
		accessible(t, ctx, x.name)
	}
	ok(t, chromedp.Run(ctx, chromedp.Navigate(base+"/machines"), chromedp.WaitReady("main"),
		send("/machines/bulk", `document.querySelector("input[name=id]").checked = true; document.querySelector("select[name=action]").value = "lock"`),
		chromedp.WaitReady(`input[name=sure]`), send("/machines/bulk", ""), chromedp.WaitVisible(`//b[contains(., "1 machine")]`, chromedp.BySearch)))
	accessible(t, ctx, "result")
}

var update = flag.Bool("update", false, "take the screenshots of README again")

// With -update, the screenshots of README are taken of the page as it is.
func TestScreenshots(t *testing.T) {
	if !*update { // a picture differs with each font and browser
		for _, name := range []string{"overview", "subnet"} {
			_, err := os.Stat(filepath.Join("testdata", name+".png"))
			ok(t, err)
		}
		return
	}
	base := try(t, "--machines", "6")
	ctx := browse(t)
	for name, path := range map[string]string{"overview": "/", "subnet": "/networks/subnets/1?page=4"} {
		var picture []byte
		ok(t, chromedp.Run(ctx, chromedp.EmulateViewport(1100, 640), chromedp.Navigate(base+path), chromedp.WaitReady("main"), chromedp.CaptureScreenshot(&picture)))
		ok(t, os.WriteFile(filepath.Join("testdata", name+".png"), picture, 0o644))
	}
}

// The files of others are as they were published.
func TestVendoredFiles(t *testing.T) {
	var all []struct{ File, SHA256 string }
	data, err := os.ReadFile("testdata/vendored.json")
	ok(t, err)
	ok(t, json.Unmarshal(data, &all))
	for _, v := range all {
		data, err := os.ReadFile(filepath.Join("testdata", v.File))
		ok(t, err)
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != v.SHA256 {
			t.Errorf("%s: %x", v.File, sum)
		}
	}
}
