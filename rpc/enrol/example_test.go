package enrol_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
)

// A region lets a rack in by a token, and the rack renews its certificate before it ends.
func Example() {
	dir, err := os.MkdirTemp("", "rack")
	check(err)
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)

	// The region. A lasting one keeps the CA with CA.Marshal, and has a Book in its database.
	ca, err := enrol.NewCA()
	check(err)
	book := new(enrol.MemBook)
	authority, err := enrol.NewAuthority(enrol.AuthorityConfig{
		CA: ca, Book: book, Life: time.Minute, // so short that the rack renews at once
		Regions: func(context.Context) ([]string, error) { return []string{listener.Addr().String()}, nil },
	})
	check(err)
	var methods rpc.Methods
	authority.Offer(&methods)
	server, err := wire.NewServer(authority.ServerConfig(rpc.NewRegion(rpc.RegionConfig{Methods: &methods})))
	check(err)
	ended := make(chan error)
	go func() { ended <- server.Serve(ctx, listener) }()
	token, err := authority.NewToken(ctx, time.Now().Add(time.Hour))
	check(err)
	book.Add(token)
	carried := token.String() // one word, which an administrator takes to the rack

	// The rack.
	token, err = enrol.ParseToken(carried)
	check(err)
	identity, regions, err := enrol.Join(ctx, token, "rack-7")
	check(err)
	keeper, err := enrol.Keep(filepath.Join(dir, "identity.pem"), identity)
	check(err)
	dialer := &wire.Dialer{Regions: func() []string { return regions }, TLS: keeper.TLS}
	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	check(err)
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	check(err)
	renewed := make(chan error, 1)
	rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Dial: dialer.Dial, Connected: func(ctx context.Context, region rpc.Conn) error {
		err := keeper.Run(ctx, region) // Connected: keeper.Run is enough; this one shows what happens
		select {
		case renewed <- err:
		default: // the example has seen one
		}
		return err
	}})
	check(err)
	go func() { ended <- rack.Serve(ctx) }()

	fmt.Println(<-renewed)
	fmt.Println(keeper.Identity().Name(), "has another certificate:", enrol.Serial(keeper.Identity().Cert) != enrol.Serial(identity.Cert))
	cancel()
	fmt.Println("ended:", <-ended, <-ended)
	// Output:
	// enrol: the certificate was renewed
	// rack-7 has another certificate: true
	// ended: <nil> <nil>
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
