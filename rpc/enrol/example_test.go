package enrol_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
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
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(context.Background())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}

	// The region.
	ca, err := enrol.NewCA()
	if err != nil {
		log.Fatal(err)
	}
	token := enrol.Token{Regions: []string{listener.Addr().String()}, Fingerprint: ca.Fingerprint(), Secret: rand.Text(), Expires: time.Now().Add(time.Hour)}
	served := make(chan error)
	go func() { served <- exampleRegion(ctx, ca, token, listener) }()

	// The rack, which was given the token as text by an administrator.
	rackToken, err := enrol.ParseToken(token.String())
	if err != nil {
		log.Fatal(err)
	}
	identity, regions, err := enrol.Join(ctx, rackToken, "rack-7")
	if err != nil {
		log.Fatal(err)
	}
	keeper, err := enrol.Keep(filepath.Join(dir, "identity.pem"), identity)
	if err != nil {
		log.Fatal(err)
	}
	dialer := &wire.Dialer{Regions: func() []string { return regions }, TLS: keeper.TLS}
	replica, err := rpc.OpenReplica(filepath.Join(dir, "state"))
	if err != nil {
		log.Fatal(err)
	}
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(dir, "outbox")})
	if err != nil {
		log.Fatal(err)
	}
	renewed := make(chan error, 1)
	rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Dial: dialer.Dial,
		Connected: func(ctx context.Context, region rpc.Conn) error { // a daemon waits for RenewAt first
			renewed <- keeper.Renew(ctx, region)
			<-ctx.Done()
			return nil
		}})
	if err != nil {
		log.Fatal(err)
	}
	go func() { served <- rack.Serve(ctx) }()

	fmt.Println("renewed:", <-renewed)
	fmt.Println("rack:", keeper.Identity().Name())
	fmt.Println("another certificate:", enrol.Serial(keeper.Identity().Cert) != enrol.Serial(identity.Cert))
	cancel()
	fmt.Println("ended:", <-served, <-served)
	// Output:
	// renewed: <nil>
	// rack: rack-7
	// another certificate: true
	// ended: <nil> <nil>
}

// exampleRegion takes racks on a listener: new ones by the token, those it has signed by their certificate.
func exampleRegion(ctx context.Context, ca *enrol.CA, token enrol.Token, listener net.Listener) error {
	const life = 24 * time.Hour
	sign := func(in enrol.Request, rack string) (enrol.Answer, error) {
		cert, err := ca.SignRack(in.CSR, rack, 1, life)
		if err != nil {
			return enrol.Answer{}, err
		}
		return enrol.Answer{Cert: cert.Raw, Regions: token.Regions}, nil
	}
	var methods rpc.Methods
	rpc.Offer(&methods, enrol.RenewMethod, func(ctx context.Context, in enrol.Request) (enrol.Answer, error) {
		return sign(in, rpc.CallingRack(ctx)) // the name in its certificate, not one that it asks for
	})
	server, err := wire.NewServer(wire.ServerConfig{
		Region: rpc.NewRegion(rpc.RegionConfig{Methods: &methods}),
		TLS:    ca.RegionTLS(),
		Authorize: func(_ context.Context, cert *x509.Certificate) (string, error) {
			return cert.Subject.CommonName, nil // a real one looks whether the certificate is revoked
		},
		Enrol: func(_ context.Context, question []byte) ([]byte, error) {
			var in enrol.Request
			if err := json.Unmarshal(question, &in); err != nil {
				return nil, err
			}
			// A real one keeps the hash of the secret alone, and takes each token once.
			if enrol.Hash(in.Secret) != enrol.Hash(token.Secret) || time.Now().After(token.Expires) {
				return nil, errors.New("the token is not known")
			}
			out, err := sign(in, in.Rack)
			if err != nil {
				return nil, err
			}
			return json.Marshal(out)
		},
	})
	if err != nil {
		return err
	}
	return server.Serve(ctx, listener)
}
