// Package tftp serves and reads files by TFTP, with the windows that make it fast: RFC 1350, 2347
// (options), 2348 (blksize), 2349 (tsize, timeout) and 7440 (windowsize), octet and netascii, over
// IPv4 and IPv6.
//
//	s, err := tftp.New(tftp.Config{Handler: tftp.FS(os.DirFS("/srv/tftp"))})
//	conn, err := tftp.Listen(":69")
//	err = s.Serve(ctx, conn)
//
// A handler of your own returns any reader:
//
//	tftp.HandlerFunc(func(ctx context.Context, r *tftp.Request) (tftp.File, error) {
//		return tftp.String("hello " + r.Client.String()), nil
//	})
//
// The Client reads, and its Size method probes as UEFI firmware does. Handlers written for
// github.com/pin/tftp serve through FromPin.
//
// # Speed
//
// The block that a client asks for is granted up to the size that its path carries without
// fragments, the window up to a budget that fits receive buffers. A window leaves in one system
// call (UDP generic segmentation offload on Linux, else sendmmsg, else a loop), and the next is
// read meanwhile. DESIGN.md has the measurements, how losses are repaired, and why the server of
// pin/tftp did not do.
//
// # Rules
//
// Nil and zero fields of Config mean the defaults stated there. New starts and opens nothing; Serve
// runs until its context ends and waits for its transfers. A Server and a Client may be used from
// many goroutines. Memory is bounded by Config.MaxTransfers, and work by one goroutine a transfer.
// Errors that a client sent are *Error, and errors.Is finds fs.ErrNotExist in "file not found";
// clients never receive paths or causes of this machine.
//
// A Handler that is a Creator takes files, too; otherwise a write request is refused. Not done:
// multicast (RFC 2090).
package tftp
