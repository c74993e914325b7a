package discovery_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Without the capability the error names it.
func TestListeningWithoutThePrivilege(t *testing.T) {
	netlab.Require(t, netlab.Root)
	lab := netlab.New(t)
	rack, host := lab.NS("rack"), lab.NS("host")
	lab.Veth(rack, "eth0", host, "eth0")
	err := rack.Do(func() error {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		if err := unix.Capget(&head, &sets[0]); err != nil {
			return err
		}
		all := sets[0].Effective
		sets[0].Effective &^= 1 << unix.CAP_NET_RAW
		if err := unix.Capset(&head, &sets[0]); err != nil {
			return err
		}
		_, failure := discovery.OpenPacket("eth0", discovery.ARP)
		sets[0].Effective = all // others will use this thread
		return errors.Join(unix.Capset(&head, &sets[0]), failure)
	})
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("got %v", err)
	}
}
