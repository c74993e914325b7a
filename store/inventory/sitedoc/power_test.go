package sitedoc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/redfish"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
	"github.com/gomaas/maas/store/inventory/sitedoc"
)

var kinds = power.NewRegistry(ipmi.Kind(), redfish.Kind(), power.Manual())

const (
	secret  = "hunter2"
	another = "correct-horse"
)

// machineDoc is a document of one machine with power as given.
func machineDoc(power string) string {
	return "machines: [{hostname: node1, power: {" + power + "}}]"
}

// Each document is applied after those before it, first as a dry run. No secret is ever told.
func TestPower(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	ipmiWith := func(more string) string {
		return machineDoc("type: ipmi, parameters: {power_address: 192.0.2.9, power_user: admin" + more + "}")
	}
	for _, c := range []struct {
		name, doc string
		want      string // of what changes, as JSON; "" = nothing changes
		pass      string // what is stored
	}{
		{"created", ipmiWith(", power_pass: " + secret), `"power_pass":"***","power_user":"admin"`, secret},
		{"twice", ipmiWith(", power_pass: " + secret), "", secret},
		{"without the secret", ipmiWith(""), "", secret},
		{"without power", "machines: [{hostname: node1}]", "", secret},
		{"nothing in it", "machines: [{hostname: node1, power: ~}]", "", secret},
		{"another secret", ipmiWith(", power_pass: " + another), `"power_pass":"***"`, another},
		{"another address", machineDoc("type: ipmi, parameters: {power_address: 192.0.2.10}"), `"power_address":"192.0.2.10"`, another},
		{"secret removed", ipmiWith(`, power_pass: ""`), `"power_pass":""`, ""},
		{"and again", ipmiWith(`, power_pass: ""`), "", ""},
		{"secret set", ipmiWith(", power_pass: " + secret), `"power_pass":"***"`, secret},
		{"type changed", machineDoc("type: redfish, parameters: {power_address: 192.0.2.9, power_user: root, power_pass: " + another + "}"), `"type":"redfish"`, another},
		{"no secrets in it", machineDoc("type: manual"), `"power":{"type":"manual"}`, ""},
		{"removed", machineDoc(`type: ""`), `"op":"update"`, ""},
	} {
		told := ""
		for _, dry := range []bool{true, false} {
			changes, err := sitedoc.Apply(ctx, inv, parse(t, c.doc), sitedoc.Options{Kinds: kinds, DryRun: dry})
			text, jerr := json.Marshal(changes)
			if err := errors.Join(err, jerr); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if c.want == "" && len(changes) > 0 || !strings.Contains(string(text), c.want) {
				t.Errorf("%s: %s, want %s", c.name, text, c.want)
			}
			told += string(text)
		}
		m, err := inv.Machines.Find(ctx, "node1.maas")
		if err != nil {
			t.Fatal(err)
		}
		if params, err := inv.PowerParams(ctx, m.ID); err != nil || params["power_pass"] != c.pass {
			t.Errorf("%s: stored %v, %v", c.name, params, err)
		}
		doc, err := sitedoc.Export(ctx, inv)
		if err != nil {
			t.Fatal(err)
		}
		if told += fmt.Sprintf("%+v %+v", doc, doc.Machines[0].Power); strings.Contains(told, secret) || strings.Contains(told, another) || strings.Contains(fmt.Sprint(doc), "power_pass") {
			t.Errorf("%s: a secret is told: %s", c.name, told)
		}
		isFixed(t, inv)
	}
}

// What was seen of a machine's power stays when the document changes how it is switched.
func TestPowerStateStays(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	m, err := inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Power: inventory.Power{Type: "manual", State: "on"}})
	if err != nil {
		t.Fatal(err)
	}
	doc := parse(t, machineDoc("type: ipmi, parameters: {power_address: 192.0.2.9}"))
	if _, err := sitedoc.Apply(ctx, inv, doc, sitedoc.Options{Kinds: kinds}); err != nil {
		t.Fatal(err)
	}
	if m, err = inv.Machines.Get(ctx, m.ID); err != nil || m.Power.State != "on" || m.Power.Type != "ipmi" {
		t.Errorf("power is %+v, %v", m.Power, err)
	}
}

// A document that was exported makes the same site elsewhere, without the secrets.
func TestPowerMoves(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	opts := sitedoc.Options{Kinds: kinds}
	doc := parse(t, machineDoc("type: ipmi, parameters: {power_address: 192.0.2.9, power_user: '0123', power_pass: "+secret+"}"))
	if _, err := sitedoc.Apply(ctx, inv, doc, opts); err != nil {
		t.Fatal(err)
	}
	exported, err := sitedoc.Export(ctx, inv)
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(exported)
	if err != nil {
		t.Fatal(err)
	}
	empty := newSite(t)
	if _, err := sitedoc.Apply(ctx, empty, parse(t, string(text)), opts); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	got, err := sitedoc.Export(ctx, empty)
	if diff := cmp.Diff(exported, got); err != nil || diff != "" {
		t.Errorf("%v (-first +second)\n%s", err, diff)
	}
	if params, err := empty.PowerParams(ctx, 1); err != nil || params["power_user"] != "0123" || params["power_pass"] != "" {
		t.Errorf("stored %v, %v", params, err)
	}
}

func TestPowerRefuses(t *testing.T) {
	inv, ctx := newSite(t), t.Context()
	pass := ", power_pass: " + secret + "}"
	for _, c := range []struct{ power, want string }{
		{"type: impi, parameters: {power_address: 192.0.2.9" + pass, `there is no power type "impi"; there are ["ipmi" "manual" "redfish"]`},
		{"type: ipmi, parameters: {adress: 192.0.2.9" + pass, `power type ipmi has no parameter "adress"; it has ["power_address"`},
		{"type: redfish, parameters: {power_user: admin" + pass, "power type redfish needs the parameter power_address"},
		{"type: redfish, parameters: {power_address: 192.0.2.9, power_user: admin}", "needs the parameter power_pass"},
		{"type: ipmi, parameters: {power_address: 192.0.2.9, power_driver: x" + pass, `power_driver may be one of ["LAN"`},
		{"type: ipmi, parameters: {power_address: 192.0.2.9, power_pass: '***'}", "power_pass is ***, which stands for a secret; leave it out to keep what is stored"},
		{"parameters: {power_address: 192.0.2.9" + pass, "parameters need a type, such as ipmi"},
	} {
		_, err := sitedoc.Apply(ctx, inv, parse(t, machineDoc(c.power)), sitedoc.Options{Kinds: kinds})
		if err == nil || !strings.HasPrefix(err.Error(), "machine node1.maas: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want %s", c.power, err, c.want)
		}
	}
}

// Values stay as they were written, whatever YAML would make of them.
func TestParameters(t *testing.T) {
	const text = `machines: [{hostname: node1, power: {type: x, parameters: {a: 0123, b: 1e5, c: true, d: on, e: ~, f: 0x10, g: 1_000, h: 1.50,
  i: no, j: 2020-01-01, k: .inf, l: '012', m: +5, n: "a\tb", o: .nan, 7: x}}}]`
	want := sitedoc.Parameters{
		"a": "0123", "b": "1e5", "c": "true", "d": "on", "e": "", "f": "0x10", "g": "1_000", "h": "1.50", "i": "no", "j": "2020-01-01",
		"k": ".inf", "l": "012", "m": "+5", "n": "a\tb", "o": ".nan", "7": "x",
	}
	if diff := cmp.Diff(want, parse(t, text).Machines[0].Power.Parameters); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	block := parse(t, "machines:\n- hostname: node1\n  power:\n    type: x\n    parameters:\n      key: |\n        one\n        two\n")
	if got := block.Machines[0].Power.Parameters["key"]; got != "one\ntwo\n" {
		t.Errorf("a block is %q", got)
	}
	for _, value := range []string{"[hunter2]", "{hunter2: x}", "!!int hunter2", "&a hunter2"} {
		var doc sitedoc.Document
		err := yaml.UnmarshalWithOptions([]byte(machineDoc("parameters: {a: "+value+"}")), &doc, yaml.Strict())
		if err == nil || !strings.Contains(err.Error(), "a has to be text") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", value, err)
		}
	}
	var doc sitedoc.Document
	if err := yaml.UnmarshalWithOptions([]byte(machineDoc("parameters: [hunter2]")), &doc, yaml.Strict()); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a list: %v", err)
	}
}

func ExampleApply_power() {
	db, _ := store.Open(testingContext, "memory:", schema.FS)
	defer db.Close()
	inv, _ := inventory.Open(testingContext, db, inventory.Config{})
	doc := sitedoc.Document{Machines: []sitedoc.Machine{{
		Hostname: "node1",
		Power:    &sitedoc.Power{Type: "redfish", Parameters: sitedoc.Parameters{"power_address": "192.0.2.9", "power_user": "root", "power_pass": "hunter2"}},
	}}}
	changes, _ := sitedoc.Apply(testingContext, inv, doc, sitedoc.Options{Kinds: power.NewRegistry(redfish.Kind())})
	fmt.Println(strings.Contains(string(changes[0].After), `"power_pass":"***"`))
	exported, _ := sitedoc.Export(testingContext, inv)
	p := exported.Machines[0].Power
	fmt.Printf("%s %q %q\n", p.Type, p.Parameters["power_user"], p.Parameters["power_pass"])
	// Output:
	// true
	// redfish "root" ""
}
