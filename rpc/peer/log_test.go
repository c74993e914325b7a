package peer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/peer"
)

// logging returns rack b, whose partner is a, the connections with which end after last with an error.
func logging(t *testing.T, ca *enrol.CA, last *time.Duration) (p *peer.Peer, log *strings.Builder) {
	t.Helper()
	b := identity(t, ca, "b")
	log = new(strings.Builder)
	p, err := peer.New(peer.Config{
		Identity: func() *enrol.Identity { return b }, Partners: func() []peer.Partner { return []peer.Partner{{Name: "a"}} },
		Exchange: func(_ context.Context, _ string, c *peer.Conn) error {
			time.Sleep(*last)
			return errors.Join(errors.New("hung up"), c.Close())
		},
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, log
}

// resetting is a connection of a stranger, who hangs up.
type resetting struct {
	net.Conn
	err error
}

func (c resetting) Read([]byte) (int, error) { return 0, c.err }

// A stranger who comes from another port each time leaves few lines, and the next one says how many there are not.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, log := logging(t, newCA(t), new(time.Duration))
		come := func(times int) {
			for port := range times {
				raw, other := net.Pipe()
				p.Welcome(t.Context(), resetting{raw, fmt.Errorf("read from port %d: reset", port)})
				other.Close()
			}
		}
		come(1000)
		if n := strings.Count(log.String(), "\n"); n != 5 {
			t.Errorf("%d lines", n)
		}
		log.Reset()
		time.Sleep(time.Minute)
		come(2)
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), `suppressed=995`) {
			t.Errorf("after a minute:\n%s", log)
		}
	})
}

// Connections that end at once are logged once; one after them that lasts is, too.
func TestBriefConnectionsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last time.Duration
		ca := newCA(t)
		p, log := logging(t, ca, &last)
		a := identity(t, ca, "a")
		connect := func(lasts time.Duration) (told string) {
			log.Reset()
			last = lasts
			raw, other := net.Pipe()
			client := tls.Client(other, &tls.Config{
				InsecureSkipVerify: true, NextProtos: []string{"maas-peer/1"},
				Certificates: []tls.Certificate{{Certificate: [][]byte{a.Cert.Raw}, PrivateKey: a.Key}},
			})
			go func() {
				_, _ = io.Copy(io.Discard, client)
				client.Close()
			}()
			p.Welcome(t.Context(), raw)
			for line := range strings.Lines(log.String()) {
				for _, what := range []string{"partner connected", "partner disconnected", "refused"} {
					if strings.Contains(line, what) {
						told += what + " "
					}
				}
			}
			return told
		}
		for i, c := range []struct {
			lasts time.Duration
			want  string
		}{
			{0, "partner connected partner disconnected "}, {0, ""}, {time.Second, ""}, {time.Minute, "partner connected partner disconnected "}, {time.Minute, "partner connected partner disconnected "},
			{0, "partner connected partner disconnected "}, {0, ""},
		} {
			if got := connect(c.lasts); got != c.want {
				t.Errorf("connection %d, of %v: logged %q, want %q", i, c.lasts, got, c.want)
			}
		}
	})
}
