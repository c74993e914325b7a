package power

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A MediaDrive has a virtual CD drive, from which the machine boots an image without a server on
// its network.
type MediaDrive interface {
	// InsertMedia puts an image into the drive, in the place of another one, and returns when the
	// BMC has accepted. The image is a URL that the BMC reads, or what the kind calls an image.
	InsertMedia(ctx context.Context, image string) error
	// EjectMedia empties the drive. An empty one is not an error.
	EjectMedia(ctx context.Context) error
	// Media returns the image in the drive as the BMC names it; empty = none.
	Media(ctx context.Context) (string, error)
}

// InsertMedia puts an image into the virtual CD drive of a machine and returns when the BMC shows
// it there. With Options.Boot [CD] the machine then boots from it.
func (c *Controller) InsertMedia(ctx context.Context, t Target, image string) error {
	_, err := c.insertMedia(ctx, t, image)
	return err
}

// EjectMedia empties the virtual CD drive of a machine.
func (c *Controller) EjectMedia(ctx context.Context, t Target) error {
	_, err := c.ejectMedia(ctx, t)
	return err
}

// Media returns the image in the virtual CD drive of a machine, without the query of its URL; empty
// = none.
func (c *Controller) Media(ctx context.Context, t Target) (string, error) {
	result, err := c.media(ctx, t)
	return result.Media, err
}

// mediaTime is the time in which an image that was accepted shows in the drive: BMCs open it first.
const mediaTime = 30 * time.Second

func (c *Controller) insertMedia(ctx context.Context, t Target, image string) (result Result, err error) {
	const op = "insert media"
	if err := checkImage(image); err != nil {
		return unseen(), err
	}
	r, release, err := c.inTurn(ctx, t, op)
	if err != nil {
		return unseen(), err
	}
	defer release(&result, &err)
	drive, ok := r.driver.(MediaDrive)
	if !ok {
		return r.result, Errorf(Unsupported, op, "this kind of power control has no virtual media")
	}
	r.inherited = false
	if err = r.step(op+" "+withoutQuery(image), drive.InsertMedia(r.ctx, image)); err != nil {
		return r.result, err
	}
	for deadline := time.Now().Add(mediaTime); ; {
		shown, err := drive.Media(r.ctx)
		if r.result.Media = withoutQuery(shown); err != nil || shown != "" {
			return r.result, err
		}
		if time.Now().After(deadline) {
			return r.result, Errorf(ActionFailed, op, "the BMC accepted the image, and the drive is still empty; see whether the BMC reaches its server")
		}
		if err := r.pause(r.ctx, r.cfg.Poll); err != nil {
			return r.result, err
		}
	}
}

func (c *Controller) ejectMedia(ctx context.Context, t Target) (Result, error) {
	return able(ctx, c, t, "eject media", func(ctx context.Context, d MediaDrive, _ *Result) error { return d.EjectMedia(ctx) })
}

func (c *Controller) media(ctx context.Context, t Target) (Result, error) {
	return able(ctx, c, t, "read the media", func(ctx context.Context, d MediaDrive, result *Result) error {
		image, err := d.Media(ctx)
		result.Media = withoutQuery(image)
		return err
	})
}

// imageSchemes are the schemes of servers that BMCs read images from.
var imageSchemes = []string{"http", "https", "nfs", "cifs", "smb"}

// checkImage refuses URLs that no BMC takes. What is no URL is the kind's to check.
func checkImage(image string) error {
	const op = "settings"
	switch {
	case image == "":
		return Errorf(Settings, op, "media: name an image, such as https://192.0.2.1/install.iso")
	case strings.ContainsFunc(image, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return Errorf(Settings, op, "media: an image has neither spaces nor control characters; write %%20 for a space")
	case !strings.Contains(image, "://"):
		return nil
	}
	u, err := url.Parse(image)
	switch {
	case err != nil:
		return Errorf(Settings, op, "media: the image is no URL; write such as https://192.0.2.1/install.iso") // the error would show the URL
	case u.User != nil:
		return Errorf(Settings, op, "media: the URL of an image contains credentials, which the BMC would show; use a server that needs none")
	case !slices.Contains(imageSchemes, u.Scheme) || u.Host == "":
		return Errorf(Settings, op, "media: the URL of an image begins with one of %q and a host", imageSchemes)
	}
	return nil
}

// checkBootURL refuses URLs that no firmware loads.
func checkBootURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Errorf(Settings, "settings", "boot URL: want an http or https URL without credentials and spaces, such as http://192.0.2.1/boot.iso")
	}
	return nil
}

// withoutQuery is an image for logs and results: queries of URLs hold signatures that let their
// readers in.
func withoutQuery(image string) string {
	if strings.Contains(image, "://") {
		image, _, _ = strings.Cut(image, "?")
	}
	return image
}
