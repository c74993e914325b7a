// Command powerctl switches a machine through its BMC and shows what it saw.
//
//	POWER_PASS=secret powerctl -kind ipmi -address 192.0.2.9 -user admin on
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/redfish"
)

func main() {
	kind := flag.String("kind", "ipmi", "ipmi or redfish")
	address := flag.String("address", "", "address of the BMC")
	user := flag.String("user", "", "user of the BMC; the password is taken from POWER_PASS")
	network := flag.Bool("network", false, "boot from the network, once")
	flag.Parse()

	controller, err := power.NewController(power.Config{Registry: power.NewRegistry(ipmi.Kind(), redfish.Kind())})
	if err != nil {
		log.Fatal(err)
	}
	target := power.Target{Kind: *kind, Params: power.Params{
		"power_address": *address, "power_user": *user, "power_pass": os.Getenv("POWER_PASS"),
	}}
	var options power.Options
	if *network {
		options.Boot = power.Network
	}
	result, err := controller.Ensure(context.Background(), target, power.State(flag.Arg(0)), options)
	for _, step := range result.Steps {
		fmt.Println(step.Time.Format("15:04:05"), step.Op, step.Err)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Before, "->", result.State)
}
