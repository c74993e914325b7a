package virsh

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gomaas/maas/power"
	bmcaddress "github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
	"github.com/gomaas/maas/power/internal/sshdial"
)

// Name is the power type's name.
const Name = "virsh"

const (
	paramAddress = "power_address"
	paramID      = "power_id"
	paramTLSCert = "tls_cert"
	paramTLSKey  = "tls_key"
)

// Kind declares the power type "virsh".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, BootOrder: true, Media: true, Title: "Virsh (libvirt)",
		Params: slices.Concat([]power.Param{
			{Name: paramAddress, Label: "libvirt URI, such as qemu+ssh://user@host/system", Required: true},
			{Name: sshdial.ParamPass, Label: "Password of the ssh user", Secret: true},
			{Name: paramID, Label: "Name or UUID of the virtual machine", Required: true, Scope: power.ScopeNode},
		}, sshdial.Params(), []power.Param{
			{Name: paramTLSCert, Label: "Client certificate for tls, in PEM", Multiline: true},
			{Name: paramTLSKey, Label: "Client key for tls, in PEM", Secret: true, Multiline: true},
		}, bmchttp.Params()),
		Open: open,
	}
}

// address is a libvirt URI taken apart.
type address struct {
	transport string // unix, tcp, tls or ssh
	user      string
	host      string // with port; "" with unix
	socket    string // path on the host, for unix and ssh
	local     string // the URI that the host itself would use
}

const defaultSocket = "/var/run/libvirt/libvirt-sock"

// defaultPorts are libvirt's.
var defaultPorts = map[string]string{"tcp": "16509", "tls": "16514", "ssh": "22"}

func parse(text string) (address, error) {
	const op = "settings"
	u, err := url.Parse(bracketed(strings.TrimSpace(text)))
	if err != nil || u.Scheme == "" {
		return address{}, power.Errorf(power.Settings, op, "%s is not a libvirt URI; write such as qemu+ssh://user@host/system", paramAddress)
	}
	if _, has := u.User.Password(); has {
		return address{}, power.Errorf(power.Settings, op, "%s contains a password; put it into %s", paramAddress, sshdial.ParamPass)
	}
	driver, transport, _ := strings.Cut(u.Scheme, "+")
	a := address{transport: transport, user: u.User.Username(), socket: u.Query().Get("socket"), local: driver + "://" + u.Path}
	if a.transport == "" {
		a.transport = "unix"
		if u.Host != "" {
			a.transport = "ssh"
		}
	}
	if a.socket == "" {
		a.socket = defaultSocket
	}
	if a.transport == "unix" {
		return a, nil
	}
	port, known := defaultPorts[a.transport]
	if !known {
		return a, power.Errorf(power.Settings, op, "%s: transport %q is none of unix, tcp, tls and ssh", paramAddress, a.transport)
	}
	at, err := bmcaddress.Parse(paramAddress, u.Host)
	if err != nil {
		return a, err
	}
	a.host = at.HostPort(port)
	return a, nil
}

// bracketed puts an IPv6 address that is written bare into brackets, without which it is no URI.
func bracketed(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	begin := strings.LastIndexByte(rest[:end], '@') + 1
	at, err := bmcaddress.Parse(paramAddress, scheme+"://"+rest[begin:end])
	if err != nil {
		return text // parse says what is wrong
	}
	_, host, _ := strings.Cut(at.URL(), "://")
	return scheme + "://" + rest[:begin] + host + rest[end:]
}
