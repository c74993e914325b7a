// Package proxmox switches virtual machines and containers of Proxmox VE.
//
//	target := power.Target{Kind: "proxmox", Params: power.Params{
//		"power_address": "pve.example", "power_user": "maas@pve", "power_token_name": "maas", "power_token_secret": secret,
//		"power_vm_name": "100", "tls_fingerprint": pin,
//	}}
//
// The machine is named by its number or its name, anywhere in the cluster. An API token is used if
// one is given, else the password of the user. The token or user needs the privileges VM.Audit and
// VM.PowerMgmt, VM.Config.Options for the choice of what it boots from, and VM.Config.CDROM and
// Datastore.Audit for the CD drive.
//
// What a machine boots from is set for all boots: Proxmox VE has no choice for one boot. Virtual
// media are the ISO images of its storages, such as local:iso/install.iso.
//
// Tested against a simulation made from the public API documents, not against a Proxmox VE host.
package proxmox
