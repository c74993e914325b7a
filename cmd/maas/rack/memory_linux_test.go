package rack_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/pxe/firmware"
	"github.com/gomaas/maas/rpc"
)

// scarce makes the test binary a rack with little memory, see TestStrangersDoNotExhaustTheMemory.
const scarce = "MAAS_TEST_RACK_SCARCE"

// scarceMemory bounds the data of the rack's process, in bytes. It takes 200 MB at the most; headers
// of connections alone were 2 GB once.
const scarceMemory = 512 << 20

// A rack whose region is away holds bounded memory, whatever strangers send to its ports: beyond the
// limit the process would end.
func TestStrangersDoNotExhaustTheMemory(t *testing.T) {
	if os.Getenv(scarce) != "" {
		serveScarce(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestStrangersDoNotExhaustTheMemory$", "-test.v")
	cmd.Env = append(os.Environ(), scarce+"=1")
	var said strings.Builder
	cmd.Stderr = &said
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	var at [3]string
	lines := bufio.NewScanner(io.TeeReader(stdout, &said))
	for lines.Scan() {
		if n, _ := fmt.Sscanf(lines.Text(), "serving %s %s %s", &at[0], &at[1], &at[2]); n == len(at) {
			break
		}
	}
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		_, _ = io.Copy(&said, stdout)
	}()
	var floods sync.WaitGroup
	for i := range 4 {
		floods.Go(func() { floodReports(t, "http://"+at[0], i) })
	}
	floods.Go(func() { floodDatagrams(t, at[1], transferRequest) })
	floods.Go(func() { floodDatagrams(t, at[2], question) })
	floods.Go(func() { floodConnections(t, at[0]) })
	floods.Wait()
	if resp, err := http.Get("http://" + at[0] + "/vmlinuz"); err != nil {
		t.Errorf("after the flood: %v", err)
	} else {
		resp.Body.Close()
	}
	if err := stdin.Close(); err != nil { // it may end
		t.Error(err)
	}
	<-rest
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
	for line := range strings.Lines(said.String()) {
		if strings.Contains(line, "VmHWM") {
			t.Log(line)
		}
	}
}

// serveScarce is the rack. It ends with its standard input.
func serveScarce(t *testing.T) {
	info, _ := debug.ReadBuildInfo()
	raced := slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
	if !raced { // the race detector needs many times the memory
		if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: scarceMemory, Max: scarceMemory}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := rack.New(rack.Config{
		Dir: t.TempDir(), Files: fstest.MapFS{"vmlinuz": {Data: make([]byte, 8<<20)}}, Loaders: loaders,
		Dial: func(context.Context) (rpc.Conn, error) { return nil, errors.New("no region") },
	})
	if err != nil {
		t.Fatal(err)
	}
	web, err1 := net.Listen("tcp4", "127.0.0.1:0")
	tftp, err2 := net.ListenPacket("udp4", "127.0.0.1:0")
	dns, err3 := net.ListenPacket("udp4", "127.0.0.1:0")
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- r.Serve(ctx, rack.Sockets{TFTP: []net.PacketConn{tftp}, HTTP: []net.Listener{web}, DNSPacket: []net.PacketConn{dns}})
	}()
	fmt.Println("serving", web.Addr(), tftp.LocalAddr(), dns.LocalAddr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	cancel()
	if err := errors.Join(<-done, r.Close()); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "VmHWM") {
				fmt.Print(line)
			}
		}
	}
}

// floodReports claims that unknown machines run, each with a text of 60 kB.
func floodReports(t *testing.T, url string, client int) {
	text := strings.Repeat("x", 60_000)
	for i := range 2000 {
		mac := net.HardwareAddr{2, byte(client), 0, 0, byte(i >> 8), byte(i)}
		resp, err := http.Post(url+"/boot/"+firmware.FormatMAC(mac)+"/done/"+rand.Text(), "text/plain", strings.NewReader(text))
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func transferRequest(i int) []byte {
	return fmt.Appendf(nil, "\x00\x01vmlinuz\x00octet\x00blksize\x0065464\x00windowsize\x0065535\x00timeout\x00255\x00tsize\x00%d\x00", i)
}

func question(i int) []byte {
	name := fmt.Sprintf("%063d", i)
	return fmt.Appendf(nil, "%c%c\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x3f%s\x07example\x00\x00\x01\x00\x01", i>>8, i, name)
}

// floodDatagrams sends from many addresses and ports, and never listens.
func floodDatagrams(t *testing.T, to string, message func(int) []byte) {
	server := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))
	for i := range 4000 {
		conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, byte(i>>8), byte(i))}, server)
		if err != nil {
			t.Error(err)
			return
		}
		for k := range 4 {
			_, _ = conn.Write(message(i*4 + k))
		}
		conn.Close()
	}
}

// floodConnections opens connections that send a long header and no end of it.
func floodConnections(t *testing.T, to string) {
	header := "GET /vmlinuz HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("y", 900_000)
	for i := range 1500 {
		dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, 0, byte(i%40+1))}}
		conn, err := dialer.Dial("tcp4", to)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, header)
	}
}
