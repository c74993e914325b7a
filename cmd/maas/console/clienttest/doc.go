// Package clienttest looks at the page of a site with the client that people have, a browser. It is
// a module of its own, so that the library that drives the browser is no dependency of the product.
package clienttest
