package register

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRegionsOfOtherVersions(t *testing.T) {
	named := []Region{{Name: "b", Addresses: []string{"b:1", "b:2"}}, {Name: "a", Addresses: []string{"a:1"}}}
	objects, err := Objects(named)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Regions(objects); err != nil || cmp.Diff(named, got) != "" {
		t.Errorf("%v, %v", got, err)
	}
	if got := string(objects["addresses"]); got != `["a:1","b:1","b:2"]` { // what racks read that know no names
		t.Errorf("addresses %s", got)
	}
	delete(objects, "regions") // as of a region that knows no names
	want := []Region{{Addresses: []string{"a:1", "b:1", "b:2"}}}
	if got, err := Regions(objects); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v, %v", got, err)
	}
	if objects, _ = Objects(nil); string(objects["addresses"]) != "[]" || string(objects["regions"]) != "[]" {
		t.Errorf("no regions: %s", objects)
	}
	if _, err := Regions(map[string][]byte{"regions": []byte("{")}); err == nil {
		t.Error("malformed regions are accepted")
	}
}
