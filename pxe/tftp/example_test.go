package tftp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing/fstest"

	"github.com/gomaas/maas/pxe/tftp"
)

// A server on a port of loopback, and a client that asks for large blocks and
// windows.
func Example() {
	files := fstest.MapFS{"boot/vmlinuz": {Data: make([]byte, 1<<20)}}
	server, err := tftp.New(tftp.Config{Handler: tftp.FS(files)})
	if err != nil {
		panic(err)
	}
	conn, err := tftp.Listen("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Serve(ctx, conn) }()

	client := tftp.Client{BlockSize: 1468, WindowSize: 16, AskSize: true}
	t, err := client.Get(ctx, conn.LocalAddr().String(), `\boot\vmlinuz`, io.Discard)
	fmt.Println(t.Bytes, "bytes,", t.Granted, err)

	stop()
	fmt.Println("served:", <-done)
	// Output:
	// 1048576 bytes, tsize=1048576 blksize=1468 windowsize=16 <nil>
	// served: <nil>
}

// A handler makes files up, and chooses the error a client sees.
func ExampleHandlerFunc() {
	handler := tftp.HandlerFunc(func(_ context.Context, r *tftp.Request) (tftp.File, error) {
		if r.Name != "motd" {
			return tftp.File{}, &tftp.Error{Code: tftp.CodeAccess, Message: "only motd is served"}
		}
		return tftp.String("hello, " + r.Client.Addr().String() + "\n"), nil
	})
	server, _ := tftp.New(tftp.Config{Handler: handler})
	conn, _ := tftp.Listen("127.0.0.1:0")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Serve(ctx, conn) }()

	var text bytes.Buffer
	_, err := tftp.Client{Mode: tftp.NetASCII}.Get(ctx, conn.LocalAddr().String(), "motd", &text)
	fmt.Print(text.String(), err, "\n")
	_, err = tftp.Client{}.Get(ctx, conn.LocalAddr().String(), "shadow", io.Discard)
	fmt.Println(err)

	stop()
	<-done
	// Output:
	// hello, 127.0.0.1
	// <nil>
	// tftp: peer: only motd is served (code 2)
}
