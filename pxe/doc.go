// Package pxe boots machines over the network.
package pxe
