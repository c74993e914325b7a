package maasapi

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netspec"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// unsupported is an operation that MAAS has and this API does not have.
type unsupported struct{ what string }

func (e *unsupported) Error() string { return e.what + " is not supported" }

// fail sends an error to the client. Failures of the region are logged, and their text is not sent.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	if field, why, ok := mistake(err); ok {
		fields(w, field, why)
		return
	}
	code := status(err)
	if often := (*tooMany)(nil); errors.As(err, &often) {
		w.Header().Set("Retry-After", retryAfter(often.wait))
	}
	disk := (*store.OpenError)(nil)
	switch {
	case r.Context().Err() != nil: // the client has gone
		http.Error(w, "the request was cancelled", http.StatusServiceUnavailable)
	case errors.As(err, &disk): // such as a full disk; the name of the file is for the log
		a.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		http.Error(w, "the site's database: "+disk.Why+"; "+disk.Cure, http.StatusServiceUnavailable)
	case code == http.StatusInternalServerError:
		a.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		http.Error(w, "the region failed to do this; its log has the reason", code)
	default:
		http.Error(w, plain(err), code)
	}
}

// retryAfter rounds up: a client that waits that long must not be refused again.
func retryAfter(d time.Duration) string { return strconv.Itoa(int(d.Seconds()) + 1) }

// plain returns the text of an error without the name of the package that it is from.
func plain(err error) string {
	text := err.Error()
	for _, prefix := range []string{"inventory: ", "ipam: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// mistake returns the field of the request that an error is about and what is wrong with it. ok is
// false if the error is not about a field.
func mistake(err error) (field, why string, ok bool) {
	var (
		bad     *form.InvalidError
		invalid *inventory.InvalidError
		rule    *ipam.InvalidError
		refused *ipam.RefusedError
		spec    *netspec.Error
		many    *inventory.AmbiguousError
		none    *inventory.NotFoundError
	)
	switch {
	case errors.As(err, &bad):
		return bad.Field, bad.Why, true
	case errors.As(err, &invalid):
		return invalid.Field, invalid.Why, true
	case errors.As(err, &rule):
		return rule.Field, rule.Why, true
	case errors.As(err, &refused):
		return refusedField(refused), plain(err), true
	case errors.As(err, &spec), errors.As(err, &many), errors.Is(err, fs.ErrExist):
		return "__all__", plain(err), true
	case errors.As(err, &none) && none.Kind == kinds.Subnet && strings.HasPrefix(none.What, "for "):
		return "__all__", strings.TrimPrefix(none.What, "for ") + " is in no subnet of this site", true
	}
	return "", "", false
}

// refusedField returns the form field that a refusal is about.
func refusedField(e *ipam.RefusedError) string {
	for _, f := range [][2]string{
		{"subnet ", "cidr"}, {"gateway ", "gateway_ip"}, {"start ", "start_ip"}, {"end ", "end_ip"},
		{"dynamic range", "start_ip"}, {"reserved range", "start_ip"}, {"reserved IP", "ip"},
	} {
		if strings.HasPrefix(e.Subject, f[0]) {
			return f[1]
		}
	}
	return "ip_address"
}

// status returns the HTTP status of an error that is about no field.
func status(err error) int {
	var (
		no     *unsupported
		inUse  *inventory.InUseError
		stale  *inventory.StaleError
		none   *noMachine
		shut   *locked
		full   *ipam.ExhaustedError
		perr   *power.Error
		tooBig *http.MaxBytesError
		denied *forbidden
		older  *changedSince
		nobody *unauthorized
		often  *tooMany
		unread *form.MediaTypeError
		atWork *connected
	)
	switch {
	case errors.As(err, &no):
		return http.StatusNotImplemented
	case errors.As(err, &denied):
		return http.StatusForbidden
	case errors.As(err, &unread):
		return http.StatusUnsupportedMediaType
	case errors.As(err, &older):
		return http.StatusPreconditionFailed
	case errors.As(err, &nobody):
		return http.StatusUnauthorized
	case errors.As(err, &often):
		return http.StatusTooManyRequests
	case errors.As(err, &inUse), errors.As(err, &stale), errors.As(err, &none), errors.As(err, &shut), errors.As(err, &atWork):
		return http.StatusConflict
	case errors.As(err, &full), errors.Is(err, ErrUnreachable):
		return http.StatusServiceUnavailable
	case errors.Is(err, fs.ErrNotExist):
		return http.StatusNotFound
	case errors.As(err, &tooBig):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &perr):
		return powerStatus(perr)
	}
	return http.StatusInternalServerError
}

// powerStatus returns 400 for what the stored parameters or the request cause, and 503 for what may
// work later.
func powerStatus(e *power.Error) int {
	switch e.Class {
	case power.Settings, power.Unsupported:
		return http.StatusBadRequest
	}
	return http.StatusServiceUnavailable
}

// fields sends what is wrong with one field, as clients of MAAS read it.
func fields(w http.ResponseWriter, field, why string) {
	if field == "" {
		field = "__all__"
	}
	body, _ := json.Marshal(map[string][]string{field: {why}}) // strings always encode
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(body)
}
