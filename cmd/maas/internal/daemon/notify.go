package daemon

import (
	"context"
	"os"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// Notify tells the service manager that started this process about it, as sd_notify(3) does: that it serves, and when ctx
// ends that it stops. Without a service manager it does nothing. A manager that does not listen is no reason to fail.
func Notify(ctx context.Context) (ready func()) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return func() {}
	}
	return func() {
		_, _ = systemd.SdNotify(false, systemd.SdNotifyReady)
		context.AfterFunc(ctx, func() { _, _ = systemd.SdNotify(false, systemd.SdNotifyStopping) })
	}
}
