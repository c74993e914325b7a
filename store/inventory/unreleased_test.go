package inventory_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// unreleased returns the dump and the key in testdata/unreleased.zip, which "maas backup" of the last
// build before the first release wrote: a site that booted machines and had objects of all kinds.
func unreleased(t *testing.T) (dump, key []byte) {
	t.Helper()
	z, err := zip.OpenReader("testdata/unreleased.zip")
	ok(t, err)
	defer z.Close()
	read := func(name string) []byte {
		f := must[io.ReadCloser](t)(asCloser(z.Open(name)))
		defer f.Close()
		return must[[]byte](t)(io.ReadAll(f))
	}
	return read("site.jsonl"), read("secret.key")
}

func asCloser[T io.ReadCloser](f T, err error) (io.ReadCloser, error) { return f, err }

// tablesOf returns the rows of each table of a dump in order, each row as JSON with its columns by name.
func tablesOf(t *testing.T, dump []byte) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	var name string
	var columns []string
	for line := range bytes.Lines(dump) {
		var head struct {
			Table   string
			Columns []string
		}
		if line[0] == '{' {
			ok(t, json.Unmarshal(line, &head))
			if name, columns = head.Table, head.Columns; name != "" {
				out[name] = []string{}
			}
			continue
		}
		var values []json.RawMessage
		ok(t, json.Unmarshal(line, &values))
		row := make(map[string]json.RawMessage)
		for i, c := range columns {
			row[c] = values[i]
		}
		out[name] = append(out[name], string(must[[]byte](t)(json.Marshal(row)))) // keys are sorted
	}
	for _, rows := range out {
		slices.Sort(rows)
	}
	delete(out, "revision") // goes on above every revision that was seen
	delete(out, "change")   // is read anew
	return out
}

// A backup of the last unreleased build moves into today's schema without losing a row, on either
// engine, and the site it holds works: names, leases, secrets, keys.
func TestRestoresUnreleasedBackup(t *testing.T) {
	old, key := unreleased(t)
	want := tablesOf(t, old)
	want["leader_lease"] = want["duty"] // its name at the time
	delete(want, "duty")
	// Later columns have their defaults.
	for table, columns := range map[string]map[string]any{
		"interface":        {"tags": "null"},
		"node":             {"configured": 0, "loader": ""},
		"subnet":           {"relays": "null", "delegated": "null"},
		"ip_range":         {"class_id": nil},
		"api_key":          {"expires": 0, "used": 0},
		"rack":             {"networks": "null", "bmc_networks": "null", "ignored": "null", "claim": "null", "open": true},
		"rack_token":       {"networks": "null", "bmc_networks": "null", "open": false},
		"rack_certificate": {"generation": 0, "used": 0},
		"domain":           {"racks": "null", "key_number": 0},
	} {
		for i, text := range want[table] {
			row := make(map[string]any)
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber() // times have more digits than a float64
			ok(t, d.Decode(&row))
			maps.Copy(row, columns)
			want[table][i] = string(must[[]byte](t)(json.Marshal(row)))
		}
	}
	want["enlisted"], want["lease_history"] = []string{}, []string{} // later tables
	want["dhcp_class"], want["user_data"], want["boot_image"], want["ignored_device"] = []string{}, []string{}, []string{}, []string{}
	want["event"], want["audit"] = apart(t, want["event"])
	for name, rows := range want {
		if len(rows) == 0 && !slices.Contains([]string{"dhcp_server", "link_peer", "scan", "enlisted", "lease_history", "dhcp_class", "user_data", "boot_image", "ignored_device"}, name) {
			t.Errorf("the backup has no %s: it proves nothing about them", name)
		}
	}
	onDatabases(t, func(t *testing.T, db *store.DB, _ *inventory.Inventory) {
		ok(t, db.Restore(t.Context(), bytes.NewReader(old)))
		var now bytes.Buffer
		ok(t, db.Dump(t.Context(), &now))
		if diff := gocmp.Diff(want, tablesOf(t, now.Bytes())); diff != "" {
			t.Errorf("rows differ (-backup +restored):\n%s", diff)
		}
		inv := must[*inventory.Inventory](t)(inventory.Open(t.Context(), db, inventory.Config{Key: key}))
		checkUnreleasedSite(t, inv)
	})
}

// apart splits the rows of the one log that was into the log and the audit log, which counts from 1.
func apart(t *testing.T, rows []string) (log, audit []string) {
	type entry struct {
		id  int64
		row map[string]any
	}
	var done []entry
	for _, text := range rows {
		if !strings.Contains(text, `"level":"audit"`) {
			log = append(log, text)
			continue
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		e := entry{row: make(map[string]any)}
		ok(t, d.Decode(&e.row))
		e.id = must[int64](t)(e.row["id"].(json.Number).Int64())
		done = append(done, e)
	}
	slices.SortFunc(done, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	for i, e := range done {
		e.row["id"], e.row["changes"] = i+1, "null"
		audit = append(audit, string(must[[]byte](t)(json.Marshal(e.row))))
	}
	slices.Sort(audit)
	return log, audit
}

func checkUnreleasedSite(t *testing.T, inv *inventory.Inventory) {
	ctx := t.Context()
	m := must[inventory.Machine](t)(inv.Machines.Find(ctx, "web-1.lab.example"))
	if m.Gateway4 == 0 || !slices.Equal(m.Tags, []string{"fast"}) || m.Profile == nil || m.Profile.Kernel != "vmlinuz" {
		t.Errorf("web-1: gateway %d, tags %q, profile %+v", m.Gateway4, m.Tags, m.Profile)
	}
	params := must[map[string]string](t)(inv.PowerParams(ctx, m.ID))
	if params["power_pass"] != "correct horse battery" {
		t.Errorf("web-1's BMC: %q", params)
	}
	if _, valid, err := inv.CheckPassword(ctx, "eve", "correct horse battery"); !valid || err != nil {
		t.Errorf("eve's password: %v, %v", valid, err)
	}
	model := must[*inventory.Model](t)(inv.Model(ctx))
	if keys, err := inv.DNSKeys(model); err != nil || len(keys) != 1 || len(keys[0].Secret) < 40 {
		t.Errorf("TSIG keys: %d, %v", len(keys), err)
	}
	if _, _, err := inv.Enrolment.CA(ctx, nil); err != nil {
		t.Errorf("the site's CA: %v", err)
	}
	if name, err := inv.Enrolment.RackOf(ctx, certificate("3aae1348be56641c69629e413bd91690", "rack-2")); name != "r9" || err != nil {
		t.Errorf("rack of the certificate: %q, %v", name, err)
	}
	var names []string
	for _, set := range plan.DNS(model).Sets {
		names = append(names, set.Name)
	}
	all := strings.Join(names, "\n")
	for _, name := range []string{"node-1.maas", "www.maas", "web-1.lab.example", "r9.maas"} {
		if !strings.Contains(all, name) {
			t.Errorf("no name %s among\n%s", name, all)
		}
	}
}
