package daemon

import (
	"context"
	"net"
	"os"
	"strings"
)

// Notify tells the service manager that started this process about it, as sd_notify(3) does: that it serves, and when ctx
// ends that it stops. Without a service manager it does nothing. A manager that does not listen is no reason to fail.
func Notify(ctx context.Context) (ready func()) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return func() {}
	}
	return func() {
		tell(path, "READY=1")
		context.AfterFunc(ctx, func() { tell(path, "STOPPING=1") })
	}
}

func tell(path, state string) {
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:] // in the abstract namespace
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}
