// Package rfc9111 holds the rules of HTTP caching for a shared cache as pure functions: what may be
// stored, how long it is fresh, when it may be reused and what a validation changes. It does no I/O
// and knows no clock; times are arguments.
package rfc9111
