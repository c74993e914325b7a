// Command customdriver switches a plug that has an HTTP API of its own: GET answers "on" or "off",
// and PUT takes the same.
//
//	customdriver http://192.0.2.9/relay on
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/gomaas/maas/power"
)

// plug is a power.Driver: two methods are enough.
type plug struct{ url string }

func (p plug) PowerState(ctx context.Context) (power.State, error) {
	text, err := p.ask(ctx, http.MethodGet, "")
	if err != nil {
		return power.Unknown, err
	}
	return power.State(strings.TrimSpace(text)), nil // power.On is "on"
}

func (p plug) SetPower(ctx context.Context, state power.State) error {
	_, err := p.ask(ctx, http.MethodPut, string(state))
	return err
}

func (p plug) ask(ctx context.Context, method, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.url, strings.NewReader(body))
	if err != nil {
		return "", power.Errorf(power.Settings, method, "%w", err) // trying again cannot help
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", power.Errorf(power.Connection, method, "%w", err) // it may
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", power.Errorf(power.ActionFailed, method, "the plug answers %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 100))
	return string(text), err
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("write the plug's URL, and on or off")
	}
	kind := power.Kind{
		Name: "plug", Title: "HTTP plug", Params: []power.Param{{Name: "power_address", Label: "URL", Required: true}},
		Open: func(_ context.Context, p power.Params) (power.Driver, error) { return plug{p["power_address"]}, nil },
	}
	controller, err := power.NewController(power.Config{Registry: power.NewRegistry(kind)})
	if err != nil {
		log.Fatal(err)
	}
	target := power.Target{Kind: "plug", Params: power.Params{"power_address": os.Args[1]}}
	result, err := controller.Ensure(context.Background(), target, power.State(os.Args[2]), power.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Before, "->", result.State)
}
