// Package ssh switches machines by commands on a host that is reached over SSH: ipmitool on a jump
// host, uhubctl, the shell of a BMC.
//
//	target := power.Target{Kind: "ssh", Params: power.Params{
//		"power_address": "jump.example", "power_user": "lab", "ssh_fingerprint": "SHA256:...", "power_id": "bmc7",
//		"command_on": "ipmitool -H {id} -U admin -f /dev/stdin power on", "command_off": "ipmitool -H {id} -U admin -f /dev/stdin power off",
//		"command_query": "ipmitool -H {id} -U admin -f /dev/stdin power status", "command_input": secret,
//	}}
//
// Each operation is one command. In a command {id} means power_id and {device} a boot device, as
// words that the shell of the host reads as one. A password for the command belongs into
// command_input, which is its standard input: the arguments of a program are visible to all users
// of a host. An exit status other than 0 is a failure. The output of command_query is matched with
// two regular expressions; if neither is found the state is unknown.
//
// The host's key must be the pinned one, or in the known_hosts of the user that the program runs
// as.
//
// Tested against OpenSSH's sshd with a file in the place of a machine, and against a simulated BMC
// shell; not against hardware.
package ssh
