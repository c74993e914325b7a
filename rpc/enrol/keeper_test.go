package enrol_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/rpc/enrol"
	"github.com/gomaas/maas/rpc/wire"
)

// A dialer with the TLS of a keeper uses the renewed certificate once the first one has expired.
func TestADialerFollowsItsKeeper(t *testing.T) {
	ca := newCA(t)
	book := opened(enrol.Token{})
	address := serve(t, ca, book)
	first, err := ca.Issue("rack-7", -time.Second) // expired already
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "identity.pem")
	keeper, err := enrol.Keep(path, first)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &wire.Dialer{Regions: func() []string { return []string{address} }, TLS: keeper.TLS}
	if _, err := dialer.Dial(t.Context()); err == nil {
		t.Fatal("an expired certificate was let in")
	}
	token := enrol.Token{Regions: []string{address}, Fingerprint: ca.Fingerprint(), Secret: "open", Expires: time.Now().Add(time.Minute)}
	good, _, err := enrol.Join(t.Context(), token, "rack-7")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&wire.Dialer{Regions: dialer.Regions, TLS: good.TLS}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.(interface{ Close() error }).Close()
	if err := keeper.Renew(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	again, err := dialer.Dial(t.Context())
	if err != nil {
		t.Fatalf("after the renewal: %v", err)
	}
	again.(interface{ Close() error }).Close()

	reopened, err := enrol.OpenKeeper(path)
	if err != nil || enrol.Serial(reopened.Identity().Cert) != enrol.Serial(keeper.Identity().Cert) {
		t.Errorf("the file has another identity than the keeper: %v", err)
	}
}

func TestKeepersThatCannotBe(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent", "identity.pem")
	if _, err := enrol.OpenKeeper(absent); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	id, err := newCA(t).Issue("rack-7", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := enrol.Keep(absent, id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("keep: %v", err)
	}
	for name, id := range map[string]*enrol.Identity{"nil": nil, "empty": {}, "no CA": {Key: id.Key, Cert: id.Cert}} {
		_, tlsErr := id.TLS()
		_, renewErr := enrol.Renew(t.Context(), nil, id)
		for _, err := range []error{tlsErr, renewErr, id.Save(filepath.Join(t.TempDir(), "id"))} {
			if err == nil || !strings.Contains(err.Error(), "lacks its key, certificate or CA") {
				t.Errorf("%s identity: %v", name, err)
			}
		}
	}
}
