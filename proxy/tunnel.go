package proxy

import (
	"io"
	"net"
	"net/http"
	"time"
)

// tunnel joins the client to the destination until one side ends. Behind a parent it asks the
// parent for the tunnel.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	// The destination comes first: an error can be answered with a status only until the client's
	// connection is hijacked.
	origin, err := p.dialTunnel(r.Context(), r)
	if err != nil {
		p.failed(w, r, err)
		return
	}
	defer origin.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.failed(w, r, err)
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	upward := make(chan struct{})
	go func() {
		defer close(upward)
		_, _ = io.Copy(origin, buffered)
		// The client ended its half; the destination may still answer.
		closeWrite(origin)
	}()
	// Only what arrives from the destination is metered, which is what Policy.Uplink limits.
	down, _ := io.Copy(client, p.uplink.meter(r.Context(), clientOf(r), origin))
	tunnelled(w, down)
	closeWrite(client)
	client.SetReadDeadline(time.Now().Add(time.Minute)) // a client that never ends its half
	<-upward
}

// closeWrite ends the sending half of a connection, if it can be ended alone.
func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	conn.Close()
}
