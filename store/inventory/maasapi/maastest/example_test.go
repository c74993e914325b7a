package maastest_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/netip"
	"net/url"
	"testing"

	"github.com/gomaas/maas/store/inventory/maasapi/maastest"
)

// A machine is made and switched on through the API, and is on in the inventory. A test has its own
// t in the place of this one.
func Example() {
	t, end := exampleT()
	defer end()
	m := maastest.Start(t, maastest.Config{Network: netip.MustParsePrefix("192.0.2.1/24")})

	post := func(path string, form url.Values) {
		resp, err := m.HTTP.PostForm(m.URL+"/api/2.0/"+path, form) // signed with m.Key
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		fmt.Println(path[:9], resp.Status)
	}
	post("machines/", url.Values{"hostname": {"node1"}, "architecture": {"amd64/generic"}, "power_type": {"manual"}, "mac_addresses": {"52:54:00:00:00:01"}})
	machines, err := m.Inventory.Machines.List(t.Context())
	if err != nil {
		log.Fatal(err)
	}
	post("machines/"+machines[0].SystemID+"/?op=power_on", nil)
	machine, err := m.Inventory.Machines.Get(t.Context(), machines[0].ID)
	fmt.Println(machine.FQDN, machine.Power.State, err)
	// Output:
	// machines/ 200 OK
	// machines/ 200 OK
	// node1.maas on <nil>
}

// noTest is a testing.TB outside of a test.
type noTest struct {
	testing.TB
	cleanups *[]func()
}

func (noTest) Helper()                           {}
func (noTest) Context() context.Context          { return context.Background() }
func (t noTest) Cleanup(f func())                { *t.cleanups = append(*t.cleanups, f) }
func (noTest) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

func exampleT() (t testing.TB, end func()) {
	var cleanups []func()
	return noTest{cleanups: &cleanups}, func() {
		for i := len(cleanups) - 1; i >= 0; i-- {
			cleanups[i]()
		}
	}
}
