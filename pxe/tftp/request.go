package tftp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Request is one read or write request.
type Request struct {
	Write   bool           // the client sends the file
	Name    string         // file name as sent; may hold any byte but NUL
	Mode    Mode           // octet or netascii
	Options Options        // what the client asked for
	Client  netip.AddrPort // where it came from, with zone for link-local addresses
	Local   netip.Addr     // address it was sent to; invalid when unknown
}

// Mode is a transfer mode.
type Mode string

// The modes of RFC 1350 that are served.
const (
	Octet    Mode = "octet"
	NetASCII Mode = "netascii"
)

// Options are the options of a request or of its acknowledgement. Zero values mean that the option
// is absent.
type Options struct {
	BlockSize  int           // blksize in bytes, 8-65464 (RFC 2348)
	WindowSize int           // windowsize in blocks, 1-65535 (RFC 7440)
	Timeout    time.Duration // timeout in whole seconds, 1-255 s (RFC 2349)
	AskSize    bool          // tsize is asked for (RFC 2349)
	Size       int64         // tsize as answered; meaningful only with AskSize
}

// any reports whether an option is asked for.
func (o Options) any() bool { return o.AskSize || o.BlockSize > 0 || o.WindowSize > 0 || o.Timeout > 0 }

// appendTo writes the options in the form of RFC 2347.
func (o Options) appendTo(b []byte) []byte {
	add := func(name string, v int64) {
		b = append(append(b, name...), 0)
		b = append(strconv.AppendInt(b, v, 10), 0)
	}
	if o.AskSize {
		add("tsize", o.Size)
	}
	if o.BlockSize > 0 {
		add("blksize", int64(o.BlockSize))
	}
	if o.WindowSize > 0 {
		add("windowsize", int64(o.WindowSize))
	}
	if o.Timeout > 0 {
		add("timeout", int64(o.Timeout/time.Second))
	}
	return b
}

// String lists the options as name=value.
func (o Options) String() string {
	b := o.appendTo(nil)
	parts := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	var out strings.Builder
	for i := 0; i+1 < len(parts); i += 2 {
		if i > 0 {
			out.WriteByte(' ')
		}
		fmt.Fprintf(&out, "%s=%s", parts[i], parts[i+1])
	}
	return out.String()
}

// parseOptions reads name and value pairs. Names are case-insensitive; an unknown name or a value
// out of range is as if it had not been sent, which RFC 2347 allows and which firmware needs: it
// fails on an ERROR 8.
func parseOptions(b []byte) Options {
	var o Options
	for len(b) > 0 {
		var name, value string
		var ok bool
		if name, b, ok = cutString(b); !ok {
			break
		}
		value, b, _ = cutString(b)
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			continue
		}
		o.set(strings.ToLower(name), n)
	}
	return o
}

func (o *Options) set(name string, n int64) {
	switch name {
	case "blksize":
		if n >= minBlockSize {
			o.BlockSize = int(min(n, maxBlockSize))
		}
	case "windowsize":
		if n >= 1 && n <= maxWindowSize {
			o.WindowSize = int(n)
		}
	case "timeout":
		if n >= 1 && n <= 255 {
			o.Timeout = time.Duration(n) * time.Second
		}
	case "tsize":
		o.AskSize, o.Size = true, n
	}
}

// parseRequest reads an RRQ or WRQ. The returned error is for the client.
func parseRequest(p []byte) (*Request, *Error) {
	op := opcode(p)
	if op != opRRQ && op != opWRQ {
		return nil, &Error{Code: CodeIllegal, Message: "not a read request"}
	}
	name, rest, ok := cutString(p[2:])
	if !ok || name == "" {
		return nil, &Error{Code: CodeIllegal, Message: "request without a file name"}
	}
	mode, rest, _ := cutString(rest)
	r := &Request{Write: op == opWRQ, Name: name, Mode: Mode(strings.ToLower(mode)), Options: parseOptions(rest)}
	if r.Mode != Octet && r.Mode != NetASCII {
		return nil, &Error{Code: CodeIllegal, Message: "transfer mode is neither octet nor netascii"}
	}
	return r, nil
}

func appendRequest(b []byte, name string, mode Mode, o Options) []byte {
	b = append(b, 0, opRRQ)
	b = append(append(b, name...), 0)
	b = append(append(b, mode...), 0)
	return o.appendTo(b)
}
