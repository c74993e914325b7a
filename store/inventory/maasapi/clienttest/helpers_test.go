package clienttest

import (
	"net/netip"
	"strconv"
)

func ref(id int) string { return strconv.Itoa(id) }

func anyOf[T any](v T, err error) (any, error) { return v, err }

func netPrefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func netAddr(text string) netip.Addr { return netip.MustParseAddr(text) }
