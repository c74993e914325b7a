// Package webhook switches machines by requests to a web service.
//
//	target := power.Target{Kind: "webhook", Params: power.Params{
//		"power_on_uri": "https://lab.example/on/7", "power_off_uri": "https://lab.example/off/7",
//		"power_query_uri": "https://lab.example/state/7", "power_token": secret,
//	}}
//
// Switching is a POST, asking is a GET. The body of the answer to a GET is matched with two regular
// expressions; if neither is found the state is unknown. A 404 for a URI that ends without a slash
// is tried once more with one. The header System_Id names the machine, if the parameter system_id
// is set. Unlike MAAS' own, this driver verifies TLS unless a parameter switches that off, and
// follows redirects only within a host, so that no other host receives the token.
package webhook
