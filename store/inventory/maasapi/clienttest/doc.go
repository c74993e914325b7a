// Package clienttest tries the region's API with the Go clients of MAAS, unmodified.
package clienttest
