package dhcplink

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// The error of a process that may not open the port names what that takes.
func TestListenError(t *testing.T) {
	if err := listenError(os.NewSyscallError("bind", syscall.EACCES)); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "CAP_NET_BIND_SERVICE") {
		t.Error(err)
	}
	if err := listenError(os.NewSyscallError("bind", syscall.EADDRINUSE)); err != ErrPortBusy {
		t.Error(err)
	}
}
