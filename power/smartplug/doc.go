// Package smartplug switches machines by plugs of the home: Shelly, Tasmota, and what Home
// Assistant has as a switch.
//
//	target := power.Target{Kind: "smartplug", Params: power.Params{"plug_type": "shelly", "power_address": "192.0.2.9", "power_pass": secret}}
//
// "shelly" is the second and later generations of Shelly's devices, "shelly-gen1" the first. A plug
// with several outlets needs node_outlet; for Home Assistant that is the entity, such as
// switch.desk, and the token is a long-lived access token.
//
// Plugs speak plain HTTP unless the address begins with https://, so keep them on a network of
// their own. The password of Tasmota travels in the URL, as its documents have it; neither errors
// nor transcripts show it.
//
// Tested against simulations made from the public documents of the makers, not against devices.
package smartplug
