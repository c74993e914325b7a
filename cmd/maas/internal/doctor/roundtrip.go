package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/rack/explain"
	"github.com/gomaas/maas/pxe/tftp"
	"github.com/miekg/dns"
)

// roundTrips ask the rack's servers at each address in the way of machines.
func roundTrips(ctx context.Context, cfg Config, f Facts) (out []RoundTrip) {
	name := "undionly.kpxe"
	for _, l := range f.Loaders {
		if l.Err == nil {
			name = l.Name
			break
		}
	}
	// An address that the rack does not serve, such as that of a management network, has no
	// sockets. checkPorts finds a server that runs nowhere.
	for _, l := range f.Links {
		for _, p := range l.Addrs {
			host := p.Addr().String()
			if servedAt("udp", 69, p.Addr()) {
				out = append(out, ask(ctx, "TFTP", host, func(ctx context.Context) error { return askTFTP(ctx, host, name) }))
			}
			if servedAt("tcp", cfg.HTTPPort, p.Addr()) {
				out = append(out, ask(ctx, "HTTP boot", host, func(ctx context.Context) error { return askHTTP(ctx, host, cfg.HTTPPort, name) }))
			}
			if servedAt("udp", cfg.DNSPort, p.Addr()) {
				out = append(out, ask(ctx, "DNS", host, func(ctx context.Context) error { return askDNS(ctx, net.JoinHostPort(host, strconv.Itoa(cfg.DNSPort))) }))
			}
		}
	}
	return append(out, askDHCP(ctx, cfg.Client)...)
}

// meant lists the reasons for silence that an administrator has configured.
var meant = []string{"proxy", "listening", "no-boot", "partner"}

// askDHCP asks the daemon to explain its answer to the DISCOVER of an unknown machine on each of
// its networks. It sends no packet: a host does not receive its own broadcasts. If no region
// answers, askDHCP returns nothing.
func askDHCP(ctx context.Context, c client.Client) (out []RoundTrip) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var answer struct {
		Racks []struct {
			Rack string         `json:"rack"`
			DHCP []explain.DHCP `json:"dhcp"`
		} `json:"racks"`
	}
	start := time.Now()
	if c.Get(ctx, "/api/v1/explain/dhcp?mac=02:00:5e:00:53:01&arch=none", &answer) != nil {
		return nil
	}
	took := time.Since(start)
	for _, r := range answer.Racks {
		for _, x := range r.DHCP {
			t := RoundTrip{What: "DHCP", At: r.Rack + " " + cmp.Or(x.Link, x.Relay), Took: took}
			if x.Reply == "" && !slices.Contains(meant, x.Reason) {
				t.Err = fmt.Errorf("a DISCOVER is left unanswered: %s; see maas explain dhcp --mac 02:00:5e:00:53:01 --arch none", x.Reason)
			}
			out = append(out, t)
		}
	}
	return out
}

// ask asks one question and measures it.
func ask(ctx context.Context, what, at string, question func(context.Context) error) RoundTrip {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	start := time.Now()
	err := question(ctx)
	return RoundTrip{What: what, At: at, Err: err, Took: time.Since(start)}
}

// askTFTP fetches a loader. That there is none is an answer, too.
func askTFTP(ctx context.Context, host, name string) error {
	_, err := tftp.Client{}.Get(ctx, net.JoinHostPort(host, "69"), name, io.Discard)
	told := (*tftp.Error)(nil)
	if errors.As(err, &told) && told.Remote {
		return nil
	}
	return err
}

// askHTTP asks for the header of a loader. An absent file is an answer, too.
func askHTTP(ctx context.Context, host string, port int, name string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, fmt.Sprintf("http://%s/%s", net.JoinHostPort(host, strconv.Itoa(port)), name), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= 500 {
		return errors.New(resp.Status)
	}
	return nil
}

// askDNS asks a server for the root without recursion. Any answer shows that it serves, also
// REFUSED: what the server knows is not the question, and no upstream takes part.
func askDNS(ctx context.Context, server string) error {
	q := new(dns.Msg).SetQuestion(".", dns.TypeNS)
	q.RecursionDesired = false
	_, _, err := new(dns.Client).ExchangeContext(ctx, q, server)
	return err
}

// askUpstreams asks the site's resolvers for other names. Nothing else notices a dead one before a
// machine waits for it.
func askUpstreams(ctx context.Context, c client.Client) (out []Upstream) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var settings struct {
		Upstream string `json:"upstream_dns"`
	}
	if c.Get(ctx, client.API+"maas/?op=get_config", &settings) != nil {
		return nil
	}
	for _, server := range strings.FieldsFunc(settings.Upstream, func(r rune) bool { return r == ' ' || r == ',' }) {
		if addr, err := netip.ParseAddr(server); err == nil {
			out = append(out, Upstream{Addr: server, Err: askDNS(ctx, netip.AddrPortFrom(addr, 53).String())})
		}
	}
	return out
}
