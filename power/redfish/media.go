package redfish

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gomaas/maas/power"
)

// virtualDrive is a virtual CD drive (DSP0268, VirtualMedia).
type virtualDrive struct {
	uri    string
	etag   string
	object object
}

// image returns what is in the drive; empty = nothing. Some makes show Inserted alone, and some the
// name of the last image of an empty drive.
func (v virtualDrive) image() string {
	if v.object.has("Inserted") && string(v.object.value("Inserted")) != "true" {
		return ""
	}
	for _, name := range []string{"Image", "ImageName"} {
		if text := v.object.text(name); text != "" {
			return text
		}
	}
	if v.object.has("Inserted") {
		return "unknown image"
	}
	return ""
}

// drives returns the virtual CD drives of the system. They are below the system since release
// 2020.4 of the schema, and below its manager before that and with most makes.
func (d *driver) drives(ctx context.Context, op string) ([]virtualDrive, error) {
	system, err := d.read(ctx, op)
	if err != nil {
		return nil, err
	}
	collections := []string{d.path(link(system.object.value("VirtualMedia")))}
	managers, err := d.managers(ctx, op, system.object)
	if err != nil {
		return nil, err
	}
	for _, uri := range managers {
		manager, err := d.get(ctx, op, uri)
		if err != nil {
			return nil, err
		}
		collections = append(collections, d.path(link(manager.object.value("VirtualMedia"))))
	}
	var out []virtualDrive
	for _, uri := range collections {
		if uri == "" || len(out) > 0 { // a drive that is listed at both places is one
			continue
		}
		if out, err = d.cdDrives(ctx, op, uri); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, power.Errorf(power.Unsupported, op, "the BMC has no virtual CD drive; some have one only with a license")
	}
	return out, nil
}

// managers returns the URIs of the controllers of the system: those that it names, or the only one.
func (d *driver) managers(ctx context.Context, op string, system object) ([]string, error) {
	var uris []string
	for _, m := range system.child("Links").list("ManagedBy") {
		if uri := d.path(link(m)); uri != "" {
			uris = append(uris, uri)
		}
	}
	collection := d.path(link(d.service.value("Managers")))
	if len(uris) > 0 || collection == "" {
		return uris, nil
	}
	uris, err := d.members(ctx, op, collection)
	if len(uris) > 1 { // of another system, maybe
		uris = nil
	}
	return uris, err
}

// cdDrives reads the drives of a collection that take CDs. A drive that does not say takes all.
func (d *driver) cdDrives(ctx context.Context, op, collection string) ([]virtualDrive, error) {
	uris, err := d.members(ctx, op, collection)
	if err != nil {
		return nil, err
	}
	var out []virtualDrive
	for _, uri := range uris {
		a, err := d.get(ctx, op, uri)
		if err != nil {
			return nil, err
		}
		types := a.object.texts("MediaTypes")
		if len(types) == 0 || slices.Contains(types, "CD") || slices.Contains(types, "DVD") {
			out = append(out, virtualDrive{uri, a.etag, a.object})
		}
	}
	return out, nil
}

// insertions are the arguments of InsertMedia that makes want, in the order in which they are tried
// as long as the service refuses them as such. The schema requires the image alone.
var insertions = []struct {
	makes string
	add   func(image string) map[string]any
}{
	{"Dell, HPE, OpenBMC and most others", func(string) map[string]any { return nil }},
	{"Supermicro", func(image string) map[string]any {
		scheme, _, _ := strings.Cut(image, "://")
		return map[string]any{"TransferProtocolType": strings.ToUpper(scheme)}
	}},
	{"emulators", func(string) map[string]any { return map[string]any{"Inserted": true, "WriteProtected": true} }},
}

// refusedArguments are the statuses by which services refuse arguments.
var refusedArguments = []int{http.StatusBadRequest, http.StatusUnprocessableEntity}

// InsertMedia implements power.MediaDrive. An empty drive is taken if there is one; else the image
// in the first one is ejected, since makes refuse to replace it.
func (d *driver) InsertMedia(ctx context.Context, image string) error {
	const op = "insert media"
	if u, err := url.Parse(image); err != nil || u.Host == "" {
		return power.Errorf(power.Settings, op, "the image is no URL; write such as https://192.0.2.1/install.iso")
	}
	drives, err := d.drives(ctx, op)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(drives, func(v virtualDrive) bool { return v.image() == "" })
	if i < 0 {
		i = 0
		if err := d.eject(ctx, drives[i]); err != nil {
			return err
		}
		fresh, err := d.get(ctx, op, drives[i].uri)
		if err != nil {
			return err
		}
		drives[i].etag, drives[i].object = fresh.etag, fresh.object
	}
	drive := drives[i]
	action := d.action(drive, "#VirtualMedia.InsertMedia")
	if action == "" { // Lenovo has no action, and takes a change of the drive
		body := map[string]any{"Image": image, "Inserted": true, "WriteProtected": true}
		return d.change(ctx, op, http.MethodPatch, drive.uri, drive.etag, body, d.etag(ctx, op, drive.uri))
	}
	var refused *answer
	for _, insertion := range insertions {
		body := map[string]any{"Image": image}
		for name, value := range insertion.add(image) {
			body[name] = value
		}
		a, err := d.do(ctx, op, http.MethodPost, action, "", body)
		if err != nil {
			return err
		}
		if !slices.Contains(refusedArguments, a.code) {
			return a.failure(op)
		}
		if refused == nil { // the words about the plain form say most
			refused = a
		}
	}
	return refused.failure(op)
}

// action returns the URI of an action of a drive; empty = it has none.
func (d *driver) action(drive virtualDrive, name string) string {
	return d.path(drive.object.child("Actions").child(name).text("target"))
}

// EjectMedia implements power.MediaDrive.
func (d *driver) EjectMedia(ctx context.Context) error {
	drives, err := d.drives(ctx, "eject media")
	if err != nil {
		return err
	}
	for _, drive := range drives {
		if drive.image() == "" {
			continue
		}
		if err := d.eject(ctx, drive); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) eject(ctx context.Context, drive virtualDrive) error {
	const op = "eject media"
	if action := d.action(drive, "#VirtualMedia.EjectMedia"); action != "" {
		// HPE refuses the action without a body, and no make refuses an empty object.
		a, err := d.do(ctx, op, http.MethodPost, action, "", map[string]any{})
		if err != nil {
			return err
		}
		return a.failure(op)
	}
	body := map[string]any{"Image": nil, "Inserted": false}
	return d.change(ctx, op, http.MethodPatch, drive.uri, drive.etag, body, d.etag(ctx, op, drive.uri))
}

// Media implements power.MediaDrive.
func (d *driver) Media(ctx context.Context) (string, error) {
	drives, err := d.drives(ctx, "read the media")
	if err != nil {
		return "", err
	}
	for _, drive := range drives {
		if image := drive.image(); image != "" {
			return image, nil
		}
	}
	return "", nil
}
