// Package bootunittest decides what machines boot, and tests that with simulated machines: no root,
// no namespaces, and some milliseconds for a boot. See its test.
package bootunittest

import (
	"context"

	"github.com/gomaas/maas/pxe"
)

// Profiles boots the installer on machines that are new, and nothing on those that are done.
func Profiles(done map[string]bool) pxe.Resolver {
	return pxe.ResolverFunc(func(_ context.Context, r pxe.Request) (pxe.Profile, error) {
		if done[r.MAC.String()] {
			return pxe.Profile{}, pxe.ErrNoProfile // the firmware tries its next boot device
		}
		return pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "install=auto"}, nil
	})
}
