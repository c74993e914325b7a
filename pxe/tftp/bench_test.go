package tftp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/gomaas/maas/pxe/tftp"
	pin "github.com/pin/tftp/v3"
)

const benchSize = 100 << 20

// BenchmarkGet compares this server with pin/tftp's in one run: 100 MiB over
// loopback in blocks of 1468 bytes. pin/tftp knows no windowsize; with
// "anticipate" its sender runs ahead without asking. The client reads a window
// with one system call where the kernel can do that; "plain" is the one that
// reads block by block, as boot firmware does.
func BenchmarkGet(b *testing.B) {
	data := randomBytes(benchSize)
	open := func(context.Context, *tftp.Request) (tftp.File, error) {
		return tftp.File{Reader: bytes.NewReader(data), Size: benchSize}, nil
	}
	for _, window := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("server=gomaas/window=%d", window), func(b *testing.B) {
			conn, err := tftp.Listen("127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			serve(b, tftp.Config{Handler: tftp.HandlerFunc(open)}, conn)
			benchGet(b, conn.LocalAddr().String(), window, tftp.Client.Get)
		})
	}
	b.Run("server=gomaas/window=16/plain", func(b *testing.B) {
		conn, err := tftp.Listen("127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		serve(b, tftp.Config{Handler: tftp.HandlerFunc(open)}, conn)
		benchGet(b, conn.LocalAddr().String(), 16, getPlain)
	})
	for _, ahead := range []uint{0, 16} {
		b.Run(fmt.Sprintf("server=pin/anticipate=%d", ahead), func(b *testing.B) {
			s := pin.NewServer(func(_ string, rf io.ReaderFrom) error {
				_, err := rf.ReadFrom(bytes.NewReader(data))
				return err
			}, nil)
			s.SetAnticipate(ahead)
			conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- s.Serve(conn) }()
			benchGet(b, conn.LocalAddr().String(), 1, tftp.Client.Get)
			s.Shutdown()
			<-done
		})
	}
}

// benchGet reads with this package's client, for a fair comparison of servers.
func benchGet(b *testing.B, address string, window int,
	get func(tftp.Client, context.Context, string, string, io.Writer) (tftp.Transfer, error)) {
	c := tftp.Client{BlockSize: 1468, AskSize: true}
	if window > 1 {
		c.WindowSize = window
	}
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		x, err := get(c, b.Context(), address, "f", io.Discard)
		if err != nil || x.Bytes != benchSize {
			b.Fatalf("%v: %+v", err, x)
		}
	}
}

// getPlain reads from a socket like any other.
func getPlain(c tftp.Client, ctx context.Context, address, name string, w io.Writer) (tftp.Transfer, error) {
	server, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return tftp.Transfer{}, err
	}
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return tftp.Transfer{}, err
	}
	defer conn.Close()
	_ = conn.SetReadBuffer(4 << 20)
	return c.GetFrom(ctx, conn, server, name, w)
}
