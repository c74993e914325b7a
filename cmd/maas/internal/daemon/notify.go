package daemon

import (
	"context"
	"os"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// Notify reports the state of this process to the service manager that started it, as sd_notify(3)
// describes: ready when the caller calls ready, stopping when ctx ends. Without a service manager
// it does nothing, and a manager that does not listen is no error.
func Notify(ctx context.Context) (ready func()) {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return func() {}
	}
	return func() {
		_, _ = systemd.SdNotify(false, systemd.SdNotifyReady)
		context.AfterFunc(ctx, func() { _, _ = systemd.SdNotify(false, systemd.SdNotifyStopping) })
	}
}
