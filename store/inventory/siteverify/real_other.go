//go:build !linux

package siteverify

import "context"

// askReal6 runs nothing either.
func askReal6(context.Context, string, *site, Options, []Question) (string, []Answer, error) {
	return "", nil, errNotRun("the old server runs in a namespace of Linux alone")
}

// askReal runs nothing: namespaces are a thing of Linux.
func askReal(context.Context, string, *site, []string, []Question) (string, []Answer, error) {
	return "", nil, errNotRun("the old server runs in a namespace of Linux alone")
}
