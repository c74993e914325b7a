package maasapi

import (
	"net/http"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Endpoint answers requests with a value that is sent as JSON; its errors are sent as what they mean. It may be called
// concurrently.
type Endpoint func(r *http.Request) (any, error)

// BadField is an [Endpoint]'s error about a parameter of the request.
func BadField(field, why string) error { return form.Invalid(field, why) }
