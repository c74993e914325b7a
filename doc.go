// Package maas is the root of gomaas.
package maas
