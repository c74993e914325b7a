package dhcpsrv_test

import (
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcptest"
	"github.com/gomaas/maas/dhcpsrv/journal"
)

func openJournal(t testing.TB, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestMemStore(t *testing.T) {
	dhcptest.Run(t, func(*testing.T) dhcptest.Harness { return dhcptest.Harness{Store: new(dhcpsrv.MemStore)} })
}
