package register

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRegionsOfOtherVersions(t *testing.T) {
	named := []Region{{Name: "b", Addresses: []string{"b:1", "b:2"}}, {Name: "a", Addresses: []string{"a:1"}}}
	objects, err := Objects(named, []string{"a1", "b2"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Regions(objects); err != nil || cmp.Diff(named, got) != "" {
		t.Errorf("%v, %v", got, err)
	}
	if got := string(objects["addresses"]); got != `["a:1","b:1","b:2"]` { // what racks read that know no names
		t.Errorf("addresses %s", got)
	}
	if got, err := Revoked(objects); err != nil || cmp.Diff([]string{"a1", "b2"}, got) != "" {
		t.Errorf("revoked: %v, %v", got, err)
	}
	if _, err := Revoked(map[string][]byte{"revoked": []byte("{")}); err == nil {
		t.Error("malformed serial numbers are accepted")
	}
	delete(objects, "regions") // as of a region that knows no names
	want := []Region{{Addresses: []string{"a:1", "b:1", "b:2"}}}
	if got, err := Regions(objects); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v, %v", got, err)
	}
	if objects, _ = Objects(nil, nil); string(objects["addresses"]) != "[]" || string(objects["regions"]) != "[]" {
		t.Errorf("no regions: %s", objects)
	}
	if _, err := Regions(map[string][]byte{"regions": []byte("{")}); err == nil {
		t.Error("malformed regions are accepted")
	}
}
