package inventory

import (
	"bytes"
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Differences are the objects that a transaction changed, with the fields that differ.
type Differences struct {
	Objects []ObjectChange `json:"objects,omitempty"`
	// More is the number of objects that were changed too, and are left out.
	More int `json:"more,omitempty"`
}

// ObjectChange is one object that a transaction changed. Its parts, such as the interfaces of a
// machine, are objects of their own.
type ObjectChange struct {
	Kind   string        `json:"kind"` // a kind of the change feed
	ID     int64         `json:"id"`
	Name   string        `json:"name,omitempty"`
	Op     store.Op      `json:"op"`
	Fields []FieldChange `json:"fields"`
}

// FieldChange is a field with its values before and after. Values are cut to a bounded length, and
// secrets are [Hidden].
type FieldChange struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Hidden takes the place of a secret in a [FieldChange].
const Hidden = "(hidden)"

// The bounds of the differences of one transaction. An audit log of 100,000 entries stays below a
// gigabyte even if each is as large as it may be.
const (
	maxChanged = 40      // objects
	maxShown   = 8 << 10 // bytes of all values and names
	maxValue   = 200     // bytes of a value
)

// unrecorded are the tables of facts that racks report and of answers, which no user edits.
var unrecorded = []string{"answer", "boot_attempt", "observation", "dhcp_server", "link_peer", "scan", "rack_health", "lease_history", "region"}

// uninteresting are columns that change by themselves with each write.
var uninteresting = []string{"kind", "created", "updated", "last_seen", "used", "power_state", "at"}

// secretColumns are the columns that hold secrets, or what stands for one.
var secretColumns = map[string][]string{
	"api_key": {"consumer", "token", "secret"}, "tsig_key": {"sealed"}, "rack_token": {"hash"}, "account": {"password"},
}

// secretTable holds secrets alone: the passwords of BMCs, by the names of their parameters.
const secretTable = "node_secret"

// labelColumns name an object, the best first.
var labelColumns = []string{"name", "hostname", "prefix", "ip", "rule", "mac", "first_addr"}

// referred are the kinds of the objects that columns refer to, so that their names are shown.
var referred = map[string]string{
	"domain_id": kinds.Domain, "zone_id": kinds.Zone, "pool_id": kinds.Pool, "parent_id": kinds.Machine, "node_id": kinds.Machine, "vlan_id": kinds.VLAN,
	"relay_vlan_id": kinds.VLAN, "fabric_id": kinds.Fabric, "space_id": kinds.Space, "subnet_id": kinds.Subnet, "source_id": kinds.Subnet,
	"destination_id": kinds.Subnet, "account_id": kinds.User, "tag_id": kinds.Tag, "class_id": kinds.Class,
}

var (
	secretName = regexp.MustCompile(`(?i)pass|secret|token|private|(^|_)key$`)
	// userInfo is the password of a URL, such as that of a proxy.
	userInfo = regexp.MustCompile(`://([^/@\s:]*):[^/@\s]+@`)
)

// row is the columns of a table as texts, by name.
type row map[string]string

// rowKey names a row.
type rowKey struct {
	table string
	id    int64
}

// rowChange is a row before and after a transaction; nil = it did not exist.
type rowChange struct {
	rowKey
	kind   string
	before row
	after  row
}

// recorder collects the rows that one transaction of an actor changes.
type recorder struct {
	rows map[rowKey]*rowChange
	all  []*rowChange
	more map[rowKey]bool // rows beyond the bound
}

type recorderKey struct{}

// recording returns a context in which the tables record what they change, and the recorder. A
// transaction inside another one uses the recorder of that.
func recording(ctx context.Context) (context.Context, *recorder) {
	if r := recorderOf(ctx); r != nil {
		return ctx, r
	}
	r := &recorder{rows: map[rowKey]*rowChange{}, more: map[rowKey]bool{}}
	return context.WithValue(ctx, recorderKey{}, r), r
}

// recorderOf returns nil if there is no actor to record for, as with what racks report.
func recorderOf(ctx context.Context) *recorder {
	r, _ := ctx.Value(recorderKey{}).(*recorder)
	return r
}

// wants reports whether a row is to be recorded. Beyond the bound it is counted, which costs no
// read of the old row.
func (r *recorder) wants(table string, id int64) bool {
	if r == nil || slices.Contains(unrecorded, table) {
		return false
	}
	k := rowKey{table, id}
	if r.rows[k] == nil && len(r.rows) >= maxChanged {
		r.more[k] = true
		return false
	}
	return true
}

// add records a change of a row. Several changes of one row become one.
func (r *recorder) add(table, kind string, id int64, before, after row) {
	k := rowKey{table, id}
	c := r.rows[k]
	if c == nil {
		c = &rowChange{rowKey: k, kind: kind, before: before}
		r.rows[k], r.all = c, append(r.all, c)
	}
	c.after = after
}

// old returns the row as it is stored if it is to be recorded; nil = it is not.
func (t table[T]) old(ctx context.Context, tx *store.Tx, id int64) (row, error) {
	if !recorderOf(ctx).wants(t.name, id) {
		return nil, nil
	}
	v, err := t.get(ctx, tx, id)
	if notFound(err) {
		return nil, nil // the write reports it
	}
	if err != nil {
		return nil, err
	}
	return t.row(&v), nil
}

// record records a write of a row. Before is nil for a new row, v is nil for a deleted one.
func (t table[T]) record(ctx context.Context, id int64, before row, v *T) {
	r := recorderOf(ctx)
	if !r.wants(t.name, id) || before == nil && v == nil {
		return
	}
	var after row
	if v != nil {
		after = t.row(v)
	}
	kind := t.kind
	for _, columns := range []row{before, after} {
		if t.name == nodes.name && columns != nil {
			kind = columns["kind"] // a machine or a device
		}
	}
	r.add(t.name, kind, id, before, after)
}

// row returns the columns of v as texts.
func (t table[T]) row(v *T) row {
	out := make(row, len(t.cols))
	for i, field := range t.fields(v) {
		out[t.cols[i]] = columnText(field)
	}
	return out
}

// columnText returns a column as people read it; "" = it holds nothing.
func columnText(field any) string {
	switch f := field.(type) {
	case asTime:
		if f.t.IsZero() {
			return ""
		}
		return f.t.UTC().Format(time.RFC3339)
	case driver.Valuer:
		value, err := f.Value()
		if err != nil || value == nil {
			return ""
		}
		field = value
	}
	if b, ok := field.(*[]byte); ok {
		return string(*b)
	}
	v := reflect.Indirect(reflect.ValueOf(field))
	text := fmt.Sprint(v.Interface())
	if v.IsZero() && v.Kind() != reflect.Bool || text == "null" || text == "[]" || text == "{}" {
		return ""
	}
	return text
}

// differences returns what was recorded, within the bounds.
func (r *recorder) differences(ctx context.Context, tx *store.Tx) (*Differences, error) {
	out := &Differences{More: len(r.more)}
	size := 0
	for _, c := range r.all {
		o, err := c.difference(ctx, tx)
		if err != nil {
			return nil, err
		}
		if len(o.Fields) == 0 {
			continue
		}
		n := len(o.Name) + 64
		for _, f := range o.Fields {
			n += len(f.Name) + len(f.Old) + len(f.New) + 32
		}
		if size+n > maxShown {
			out.More++
			continue
		}
		size += n
		out.Objects = append(out.Objects, o)
	}
	if len(out.Objects) == 0 && out.More == 0 {
		return nil, nil
	}
	return out, nil
}

// difference compares the row before and after.
func (c *rowChange) difference(ctx context.Context, tx *store.Tx) (ObjectChange, error) {
	o := ObjectChange{Kind: c.kind, ID: c.id, Op: store.Updated}
	switch {
	case c.before == nil && c.after == nil:
		return o, nil // created and deleted again
	case c.before == nil:
		o.Op = store.Created
	case c.after == nil:
		o.Op = store.Deleted
	}
	for _, column := range labelColumns {
		if o.Name == "" {
			o.Name, _ = excerpt(cmp.Or(c.after[column], c.before[column]), "")
		}
	}
	if query := nameQueries[c.kind]; o.Name == "" && query != "" {
		if err := tx.Get(ctx, query, []any{c.id}, &o.Name); err != nil && !notFound(err) {
			return o, err
		}
	}
	columns := maps.Clone(c.before)
	if columns == nil {
		columns = make(row)
	}
	maps.Copy(columns, c.after)
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		if slices.Contains(uninteresting, name) {
			continue
		}
		was, is := c.before[name], c.after[name]
		if o.Op != store.Updated && max(was, is) == "false" {
			continue // nothing was chosen
		}
		if was == is {
			continue
		}
		if c.table == secretTable || slices.Contains(secretColumns[c.table], name) || c.table == settings.name && secretName.MatchString(o.Name) {
			o.Fields = append(o.Fields, FieldChange{name, hide(was), hide(is)})
			continue
		}
		if kind := referred[name]; kind != "" {
			var err error
			if was, err = withName(ctx, tx, kind, was); err != nil {
				return o, err
			}
			if is, err = withName(ctx, tx, kind, is); err != nil {
				return o, err
			}
		}
		o.Fields = append(o.Fields, compare(name, was, is)...)
	}
	return o, nil
}

// withName adds the name of the object that a reference means, if it has one.
func withName(ctx context.Context, tx *store.Tx, kind, ref string) (string, error) {
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil {
		return ref, nil
	}
	var name string
	err = tx.Get(ctx, nameQueries[kind], []any{id}, &name)
	switch {
	case notFound(err) || err == nil && name == "":
		return ref, nil
	case err != nil:
		return "", err
	}
	return name + " (" + ref + ")", nil
}

// compare compares two values of a field. Of objects in JSON, such as a boot profile, it compares
// the members.
func compare(name, was, is string) []FieldChange {
	var old, now map[string]json.RawMessage
	if !object(was, &old) || !object(is, &now) {
		was, is = excerpt(was, is)
		return []FieldChange{{name, was, is}}
	}
	members := maps.Clone(old)
	if members == nil {
		members = make(map[string]json.RawMessage)
	}
	maps.Copy(members, now)
	var out []FieldChange
	for _, member := range slices.Sorted(maps.Keys(members)) {
		a, b := plain(old[member]), plain(now[member])
		if a == b {
			continue
		}
		if secretName.MatchString(member) {
			a, b = hide(a), hide(b)
		}
		a, b = excerpt(a, b)
		out = append(out, FieldChange{name + "." + member, a, b})
	}
	return out
}

// object reads a JSON object; nothing at all counts as one.
func object(text string, to *map[string]json.RawMessage) bool {
	return text == "" || strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), to) == nil
}

// plain returns a string of JSON without its quotes, and else the JSON, in which members that are
// named as secrets are hidden at any depth.
func plain(raw json.RawMessage) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return string(raw) // absent
	}
	if text, ok := v.(string); ok {
		return text
	}
	hideInside(v)
	out, err := json.Marshal(v)
	if err != nil {
		return Hidden // rather than what may hold a secret
	}
	return string(out)
}

// hideInside replaces the secrets of decoded JSON.
func hideInside(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if secretName.MatchString(name) {
				v[name] = hide(fmt.Sprint(value))
			} else {
				hideInside(value)
			}
		}
	case []any:
		for _, value := range v {
			hideInside(value)
		}
	}
}

// hide replaces a secret. That there is none is not one.
func hide(text string) string {
	if text == "" {
		return ""
	}
	return Hidden
}

// excerpt bounds two values. What long ones have in common at their beginning is left out, so that
// the difference is in view.
func excerpt(a, b string) (string, string) {
	a, b = userInfo.ReplaceAllString(a, "://$1:"+Hidden+"@"), userInfo.ReplaceAllString(b, "://$1:"+Hidden+"@")
	from := 0
	if max(len(a), len(b)) > maxValue {
		for from < min(len(a), len(b)) && a[from] == b[from] {
			from++
		}
		from = max(0, from-maxValue/4)
	}
	cut := func(s string) string {
		s = s[min(from, len(s)):]
		if from > 0 && s != "" {
			s = "…" + s
		}
		if len(s) > maxValue {
			s = s[:maxValue] + "…"
		}
		return strings.ToValidUTF8(s, "")
	}
	return cut(a), cut(b)
}
