// Package vmware switches virtual machines of VMware vSphere: of a vCenter, or of one ESXi host.
//
//	target := power.Target{Kind: "vmware", Params: power.Params{
//		"power_address": "vcenter.example", "power_user": "maas@vsphere.local", "power_pass": secret,
//		"power_vm_name": "web-1", "tls_fingerprint": pin,
//	}}
//
// It is a module of its own, so that programs without it do not depend on govmomi. What a machine
// boots from is set for all boots.
//
// Tested against govmomi's simulator of vCenter, not against VMware's software.
package vmware
