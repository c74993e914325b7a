package clienttest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gomaas/maas/store/inventory"
)

// A user logs in to the page that was asked for, and after a log-out no page shows the site.
func TestLogInAndOut(t *testing.T) {
	s := newSite(t)
	ctx := browse(t)
	var title, problem, at string
	ok(t, chromedp.Run(ctx,
		chromedp.Navigate(s.base+"/racks"), chromedp.SendKeys(`input[name=username]`, "ada"), chromedp.SendKeys(`input[name=password]`, "wrong"), press("Log in"),
		chromedp.Text(`.problem`, &problem)))
	accessible(t, ctx, "/login")
	ok(t, chromedp.Run(ctx,
		chromedp.SendKeys(`input[name=password]`, password), press("Log in"), chromedp.WaitVisible(`header.side`),
		chromedp.Text("h1", &title)))
	if problem == "" || !strings.HasPrefix(title, "Racks") {
		t.Errorf("a wrong password shows %q, the right one the page %q", problem, title)
	}
	ok(t, chromedp.Run(ctx,
		press("Log out"), chromedp.WaitVisible(`input[name=password]`), chromedp.Navigate(s.base+"/racks"), chromedp.WaitVisible(`input[name=password]`), chromedp.Location(&at)))
	if at != s.base+"/login?next=%2Fracks" {
		t.Errorf("after a log-out, /racks leads to %s", at)
	}
}

// Three machines boot, and an open page shows them until their systems run, without a reload.
func TestBootsAreLive(t *testing.T) {
	base := try(t, "--machines", "3")
	ctx := browse(t)
	var before, after int
	rows := func(n *int) chromedp.Action {
		return chromedp.Evaluate(`document.querySelectorAll("tbody tr").length`, n)
	}
	ok(t, chromedp.Run(ctx,
		chromedp.Navigate(base+"/boots"), chromedp.WaitVisible("tbody tr"), rows(&before),
		chromedp.Evaluate(`window.unloaded = false; addEventListener("pagehide", () => { window.unloaded = true }); 0`, nil)))
	other, stop := chromedp.NewContext(ctx)
	defer stop()
	ok(t, chromedp.Run(other,
		chromedp.Navigate(base+"/machines"), chromedp.WaitVisible(`input[name=id]`),
		chromedp.Evaluate(`document.querySelectorAll("input[name=id]").forEach(box => box.click()); 0`, nil),
		chromedp.SetValue(`select[name=action]`, "power-cycle"), press("Go on"), press("Power cycle"), chromedp.WaitVisible(`//b[contains(., "3 machines done")]`, chromedp.BySearch)))
	var unloaded bool
	ok(t, chromedp.Run(ctx,
		chromedp.Poll(fmt.Sprintf(`document.querySelectorAll("tbody tr").length == %d && document.querySelectorAll("tbody .b-running").length == %[1]d`, before+3), nil,
			chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(patience)), // a tab in the background draws no frames to poll at
		rows(&after), chromedp.Evaluate(`window.unloaded`, &unloaded)))
	if after != before+3 || unloaded {
		t.Errorf("%d rows became %d, page left: %v", before, after, unloaded)
	}
}

// A machine is switched off and on from its page, which shows the state of its power by itself.
func TestMachineIsSwitched(t *testing.T) {
	base := try(t, "--machines", "1")
	ctx := browse(t)
	state := func(want string) chromedp.Action {
		return chromedp.WaitVisible(`//dd//span[contains(@class, "tag p-") and .="`+want+`"]`, chromedp.BySearch)
	}
	ok(t, chromedp.Run(ctx,
		chromedp.Navigate(base+"/machines"), chromedp.Click(`tbody a`), state("on"),
		unfold("Switch off"), press("Switch off"), chromedp.WaitVisible(".flash"), state("off"),
		unfold("Switch on"), press("Switch on"), chromedp.WaitVisible(".flash"), state("on")))
}

// A free address is explained and reserved, and shows so.
func TestAddressIsReserved(t *testing.T) {
	s := newSite(t)
	ctx := browse(t)
	var before, after string
	ok(t, chromedp.Run(ctx,
		s.logIn("/networks/subnets/1"), chromedp.Click(`a[href="/addresses/192.0.2.77"]`), chromedp.WaitVisible(`input[name=hostname]`), chromedp.Text("section.card", &before),
		chromedp.SendKeys(`input[name=hostname]`, "printer"), press("Reserve"), chromedp.WaitVisible(".flash"), chromedp.Text("section.card", &after)))
	if strings.Contains(before, "ada") || !strings.Contains(after, "ada") {
		t.Errorf("the address is explained as %q, and then as %q", before, after)
	}
	ok(t, chromedp.Run(ctx, chromedp.Navigate(s.base+"/networks/subnets/1"), chromedp.WaitVisible(`a.s[href="/addresses/192.0.2.77"]`)))
}

// A device that was found becomes a device of the site, and is new no longer.
func TestDeviceIsPromoted(t *testing.T) {
	s := newSite(t)
	ctx := browse(t)
	row := `//tr[td//span[.="02:00:00:00:00:07"]]`
	ok(t, chromedp.Run(ctx,
		s.logIn("/devices"), chromedp.Click(row+`//summary[.="Add to the site"]`, chromedp.BySearch, chromedp.NodeVisible),
		chromedp.Click(row+`//button[.="Add"]`, chromedp.BySearch, chromedp.NodeVisible), chromedp.WaitVisible(".flash"),
		chromedp.WaitNotPresent(row+`//span[.="new"]`, chromedp.BySearch)))
	all, err := s.inv.Devices.List(t.Context())
	ok(t, err)
	if len(all) != 1 || all[0].Hostname != "printer" {
		t.Errorf("devices: %+v", all)
	}
}

// A device that was found is ignored with a reason, shows in the list of the ignored ones, and is
// discovered again when its rule is gone.
func TestDeviceIsIgnored(t *testing.T) {
	s := newSite(t)
	ctx := browse(t)
	row := `//tr[td//span[.="02:00:00:00:00:07"]]`
	var listed string
	ok(t, chromedp.Run(ctx,
		s.logIn("/devices"), chromedp.Click(row+`//summary[.="Ignore"]`, chromedp.BySearch, chromedp.NodeVisible),
		chromedp.SendKeys(row+`//input[@name="reason"]`, "of the landlord", chromedp.BySearch, chromedp.NodeVisible),
		chromedp.Click(row+`//button[.="Ignore"]`, chromedp.BySearch, chromedp.NodeVisible), chromedp.WaitVisible(".flash"),
		chromedp.WaitNotPresent(row, chromedp.BySearch), chromedp.Text("#ignored + div tbody", &listed)))
	for _, want := range []string{"02:00:00:00:00:07", "192.0.2.7", "of the landlord", "by ada"} {
		if !strings.Contains(listed, want) {
			t.Errorf("the list of ignored devices lacks %s: %s", want, listed)
		}
	}
	ok(t, chromedp.Run(ctx, press("List again"), chromedp.WaitVisible(".flash"), chromedp.WaitNotPresent("#ignored")))
	rules, err := s.inv.Discoveries.Ignored(t.Context())
	ok(t, err)
	if len(rules) != 0 {
		t.Errorf("rules: %+v", rules)
	}
}

// A network that a rack has and was not given is accepted on the page of the rack.
func TestProposalIsAccepted(t *testing.T) {
	s := newSite(t)
	ctx := browse(t)
	ok(t, chromedp.Run(ctx, s.logIn("/racks/rack"), press("Let it serve this"), chromedp.WaitVisible(".flash"), chromedp.WaitNotPresent("#proposals")))
	subnets, err := s.inv.Subnets.List(t.Context())
	ok(t, err)
	if len(subnets) != 2 || subnets[1].Prefix != netip.MustParsePrefix("198.51.100.0/24") {
		t.Errorf("subnets: %v", subnets)
	}
	audit, err := s.inv.Audit.Find(t.Context(), inventory.EventFilter{User: "ada", Limit: 20})
	ok(t, err)
	if !slices.ContainsFunc(audit, func(e inventory.Event) bool { return strings.Contains(e.Description, "op=accept") }) {
		t.Errorf("audit: %v", audit)
	}
}
