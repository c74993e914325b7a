package maasapi

import (
	"net/http"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Endpoint answers a request with a value that is sent as JSON. Its errors get the same statuses as
// the errors of this package's own endpoints. It may be called concurrently.
type Endpoint func(r *http.Request) (any, error)

// BadField returns an error of an [Endpoint] about a parameter of the request. The client gets
// status 400.
func BadField(field, why string) error { return form.Invalid(field, why) }
