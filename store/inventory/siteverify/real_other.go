//go:build !linux

package siteverify

import "context"

// askReal runs nothing: namespaces are a thing of Linux.
func askReal(context.Context, string, *site, []string, []Question) (string, []Answer, error) {
	return "", nil, errNotRun("the old server runs in a namespace of Linux alone")
}
