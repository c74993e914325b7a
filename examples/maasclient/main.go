// Command maasclient lists the machines of a MAAS, with nothing but the standard library. The key
// is taken from MAAS_KEY.
//
//	MAAS_KEY=consumer:token:secret maasclient http://192.0.2.1:5240/MAAS
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("write the URL of the MAAS")
	}
	r, err := http.NewRequest(http.MethodGet, os.Args[1]+"/api/2.0/machines/", nil)
	check(err)
	check(sign(r, os.Getenv("MAAS_KEY")))
	resp, err := http.DefaultClient.Do(r)
	check(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		log.Fatalf("%s: %s", resp.Status, text)
	}
	var machines []struct {
		FQDN   string `json:"fqdn"`
		Status string `json:"status_name"`
		Power  string `json:"power_state"`
	}
	check(json.NewDecoder(resp.Body).Decode(&machines))
	for _, m := range machines {
		fmt.Println(m.FQDN, m.Status, m.Power)
	}
}

// sign adds the signature that MAAS wants: OAuth 1.0a PLAINTEXT.
func sign(r *http.Request, key string) error {
	parts := strings.Split(key, ":")
	if len(parts) != 3 {
		return fmt.Errorf("MAAS_KEY is not consumer:token:secret")
	}
	r.Header.Set("Authorization", fmt.Sprintf(`OAuth oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", `+
		`oauth_signature="%%26%s", oauth_nonce="%s", oauth_timestamp="%d"`, parts[0], parts[1], parts[2], rand.Text(), time.Now().Unix()))
	return nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
