package tftp_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"github.com/gomaas/maas/pxe/tftp"
	pin "github.com/pin/tftp/v3"
)

// Clients that others wrote read from our server.
func TestForeignClients(t *testing.T) {
	data := randomBytes(2_000_001)
	tests := []struct {
		name    string
		need    netlab.Need
		command func(host, port, out string) []string
		window  int // that must have been granted
	}{
		{"tftp-hpa", netlab.Program("tftp", "tftp-hpa"), func(h, p, out string) []string {
			return []string{"tftp", "-m", "binary", h, p, "-c", "get", "f", out}
		}, 1},
		{"curl", netlab.Program("curl", "curl"), func(h, p, out string) []string {
			return []string{"curl", "-sS", "-o", out, "tftp://" + h + ":" + p + "/f"}
		}, 1},
		{"curl-1428", netlab.Program("curl", "curl"), func(h, p, out string) []string {
			return []string{"curl", "-sS", "--tftp-blksize", "1428", "-o", out, "tftp://" + h + ":" + p + "/f"}
		}, 1},
		{"busybox", netlab.Program("busybox", "busybox-static"), func(h, p, out string) []string {
			return []string{"busybox", "tftp", "-g", "-b", "1428", "-l", out, "-r", "f", h, p}
		}, 1},
		{"atftp", netlab.Program("atftp", "atftp"), func(h, p, out string) []string {
			return []string{"atftp", "-g", "-r", "f", "-l", out, h, p}
		}, 1},
		{"atftp-window-16", netlab.Program("atftp", "atftp"), func(h, p, out string) []string {
			return []string{"atftp", "--option", "blksize 1428", "--option", "windowsize 16", "-g", "-r", "f", "-l", out, h, p}
		}, 16},
		{"atftp-window-64", netlab.Program("atftp", "atftp"), func(h, p, out string) []string {
			return []string{"atftp", "--option", "blksize 1428", "--option", "windowsize 64", "--option", "timeout 3", "-g", "-r", "f", "-l", out, h, p}
		}, 64},
		// Larger blocks overran atftp's receive buffer in a server that granted what was asked for.
		{"atftp-8192", netlab.Program("atftp", "atftp"), func(h, p, out string) []string {
			return []string{"atftp", "--option", "blksize 8192", "--option", "windowsize 64", "-g", "-r", "f", "-l", out, h, p}
		}, 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			netlab.Require(t, tt.need)
			conn, err := tftp.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			events := make(chan tftp.Transfer, 10)
			serve(t, tftp.Config{Handler: tftp.FS(fstest.MapFS{"f": {Data: data}}), Events: func(x tftp.Transfer) { events <- x }}, conn)
			out := filepath.Join(t.TempDir(), "out")
			args := tt.command("127.0.0.1", strconv.Itoa(conn.LocalAddr().(*net.UDPAddr).Port), out)
			if text, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v: %s", args, err, text)
			}
			x := <-events
			t.Logf("asked %q, granted %q: %.1f MB/s, %d of %d packets again", x.Asked, x.Granted, x.Rate()/1e6, x.Retransmits, x.Packets)
			if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes arrived: %v", len(got), err)
			}
			if x.Err != nil || x.Granted.WindowSize != tt.window {
				t.Errorf("transfer %+v", x)
			}
		})
	}
}

func TestPinClient(t *testing.T) {
	data := randomBytes(1_000_000)
	conn, err := tftp.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, tftp.Config{Handler: tftp.FS(fstest.MapFS{"f": {Data: data}})}, conn)
	got, err := pinGet(conn.LocalAddr().String(), "f", 1468)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes: %v", len(got), err)
	}
}

func pinGet(address, name string, block int) ([]byte, error) {
	c, err := pin.NewClient(address)
	if err != nil {
		return nil, err
	}
	c.SetBlockSize(block)
	c.RequestTSize(true)
	r, err := c.Receive(name, "octet")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = r.WriteTo(&out)
	return out.Bytes(), err
}

// A handler written for pin/tftp serves as it is.
func TestFromPin(t *testing.T) {
	handler := func(name string, rf io.ReaderFrom) error {
		if name != "f" {
			return os.ErrNotExist
		}
		rf.(pin.OutgoingTransfer).SetSize(100_000)
		if a := rf.(pin.OutgoingTransfer).RemoteAddr(); !a.IP.IsLoopback() {
			return fmt.Errorf("remote address %v", a)
		}
		n, err := rf.ReadFrom(bytes.NewReader(make([]byte, 100_000)))
		if err == nil && n != 100_000 {
			err = fmt.Errorf("%d bytes sent", n)
		}
		return err
	}
	conn, err := tftp.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, tftp.Config{Handler: tftp.FromPin(handler)}, conn)
	var out bytes.Buffer
	x, err := tftp.Client{BlockSize: 1468, WindowSize: 16, AskSize: true}.Get(t.Context(), conn.LocalAddr().String(), "f", &out)
	if err != nil || out.Len() != 100_000 || x.Size != 100_000 || x.Granted.WindowSize != 16 {
		t.Errorf("%v, %d bytes, %+v", err, out.Len(), x)
	}
	if _, err := (tftp.Client{}).Get(t.Context(), conn.LocalAddr().String(), "x", io.Discard); err == nil {
		t.Error("an absent file was served")
	}
}
