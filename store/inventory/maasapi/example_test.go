package maasapi_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

// manual switches nothing; a machine's state is unknown.
type manual struct{}

func (manual) Power(context.Context, inventory.Machine, power.Action, maasapi.PowerOptions) (power.Result, error) {
	return power.Result{State: power.Unknown}, nil
}

func (manual) Kinds() power.Registry { return power.NewRegistry(power.Manual()) }

// An inventory in memory, served over HTTP, and a client that creates a subnet.
func Example() {
	ctx := context.Background()
	db, err := store.Open(ctx, "memory:", schema.FS)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	inv, err := inventory.Open(ctx, db, inventory.Config{})
	if err != nil {
		log.Fatal(err)
	}
	api, err := maasapi.New(maasapi.Config{Inventory: inv, Power: manual{}, Base: "/maas/site1"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/maas/site1/", api.Handler())
	server := httptest.NewServer(mux)
	defer server.Close()
	key, err := api.CreateKey(ctx, "admin") // consumer:token:secret
	if err != nil {
		log.Fatal(err)
	}

	// The client signs each request with the key, a nonce of its own and the time.
	form := url.Values{"cidr": {"192.0.2.0/24"}, "gateway_ip": {"192.0.2.1"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/maas/site1/api/2.0/subnets/", strings.NewReader(form.Encode()))
	if err != nil {
		log.Fatal(err)
	}
	parts := strings.Split(key, ":")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%%26%s", `+
		`oauth_nonce="1", oauth_timestamp="%d"`, parts[0], parts[1], parts[2], time.Now().Unix()))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	_, uri, _ := strings.Cut(string(body), `"resource_uri":"/maas/site1/api/2.0/subnets/`)
	fmt.Println(resp.StatusCode, "subnets/"+strings.TrimSuffix(uri, `"}`))
	// Output: 200 subnets/1/
}
