package metadata_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/gomaas/maas/pxe/metadata"
)

// one is an inventory of one machine.
type one metadata.Instance

func (o one) ByMAC(_ context.Context, mac net.HardwareAddr) (metadata.Instance, error) {
	if mac.String() != o.MAC.String() {
		return metadata.Instance{}, fs.ErrNotExist
	}
	return metadata.Instance(o), nil
}

func (o one) ByAddr(_ context.Context, addr netip.Addr) (metadata.Instance, error) {
	for _, a := range o.Addrs {
		if a == addr {
			return metadata.Instance(o), nil
		}
	}
	return metadata.Instance{}, fs.ErrNotExist
}

// A machine with the address 127.0.0.1 reads who it is, and its user data.
func Example() {
	h, err := metadata.New(metadata.Config{Source: one{
		ID: "web-1-2026", Hostname: "web-1", FQDN: "web-1.lab.example",
		Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, UserData: []byte("#cloud-config\npackages: [nginx]\n"),
	}})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(h)
	defer server.Close()
	for _, path := range []string{"/metadata/meta-data", "/metadata/user-data", "/latest/meta-data/hostname"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(string(body))
	}
	// Output:
	// {"instance-id":"web-1-2026","local-hostname":"web-1.lab.example"}
	// #cloud-config
	// packages: [nginx]
	//
	// web-1.lab.example
}
