package bounds_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// exhausted marks the process that runs out of descriptors.
const exhausted = "MAAS_TEST_EXHAUSTED"

// A server whose process has no file descriptor left serves again once it has: nothing of it ended meanwhile.
func TestServersOutliveALackOfDescriptors(t *testing.T) {
	if os.Getenv(exhausted) != "" {
		serveWithoutDescriptors(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestServersOutliveALackOfDescriptors$", "-test.v")
	cmd.Env = append(os.Environ(), exhausted+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func serveWithoutDescriptors(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") })}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(bounds.Listen(raw, bounds.Limits{})) }()
	// Connected before the descriptors run out, since a client needs one, too: the server accepts these when it can.
	var waiting []net.Conn
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	var hold []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		hold = append(hold, f)
	}
	for range 4 {
		hold[len(hold)-1].Close()
		hold = hold[:len(hold)-1]
		conn, err := net.Dial("tcp", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, conn)
	}
	select {
	case err := <-ended:
		t.Fatalf("the server ended: %v", err)
	case <-time.After(300 * time.Millisecond): // for the server to fail some times
	}
	for _, f := range hold {
		f.Close()
	}
	for _, conn := range waiting {
		fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		if n, err := conn.Read(make([]byte, 64)); n == 0 {
			t.Errorf("a client that waited was not served: %v", err)
		}
	}
}
