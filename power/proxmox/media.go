package proxmox

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/gomaas/maas/power"
)

// volume is an image of a storage, such as local:iso/debian.iso.
var volume = regexp.MustCompile(`^[A-Za-z0-9._-]+:iso/[^,/]+$`)

// emptyDrive is the value of a CD drive without an image.
const emptyDrive = "none,media=cdrom"

// cdDrive returns the name of the machine's CD drive and the image in it. A machine without one
// gets the first place of the IDE bus that is free, where the web page of Proxmox VE puts it, too.
func (d *driver) cdDrive(ctx context.Context, op string) (name, image string, err error) {
	if d.kind != "qemu" {
		return "", "", power.Errorf(power.Unsupported, op, "a container has no CD drive")
	}
	var config map[string]any
	if err := d.do(ctx, op, http.MethodGet, d.path+"/config", nil, &config); err != nil {
		return "", "", err
	}
	if _, _, cds := devices(config); len(cds) > 0 {
		text, _ := config[cds[0]].(string)
		image, _, _ = strings.Cut(text, ",")
		if image == "none" || image == "cdrom" { // cdrom is the drive of the host
			image = ""
		}
		return cds[0], image, nil
	}
	for _, name := range []string{"ide2", "ide3", "ide1", "ide0"} {
		if config[name] == nil {
			return name, "", nil
		}
	}
	return "", "", power.Errorf(power.ActionFailed, op, "the machine has neither a CD drive nor a free place for one on its IDE bus")
}

// InsertMedia implements power.MediaDrive. The image is the name of a volume: Proxmox VE reads none
// from a URL.
func (d *driver) InsertMedia(ctx context.Context, image string) error {
	const op = "insert media"
	if !volume.MatchString(image) {
		return power.Errorf(power.Settings, op, "Proxmox VE takes images of its storages alone; upload it, and name it such as local:iso/install.iso")
	}
	name, _, err := d.cdDrive(ctx, op)
	if err != nil {
		return err
	}
	return d.setDrive(ctx, op, name, image+",media=cdrom")
}

// EjectMedia implements power.MediaDrive.
func (d *driver) EjectMedia(ctx context.Context) error {
	const op = "eject media"
	name, image, err := d.cdDrive(ctx, op)
	if err != nil || image == "" {
		return err
	}
	return d.setDrive(ctx, op, name, emptyDrive)
}

func (d *driver) setDrive(ctx context.Context, op, name, value string) error {
	return d.do(ctx, op, http.MethodPut, d.path+"/config", map[string]string{name: value}, nil)
}

// Media implements power.MediaDrive.
func (d *driver) Media(ctx context.Context) (string, error) {
	_, image, err := d.cdDrive(ctx, "read the media")
	return image, err
}

// devices returns the names of network cards, disks and CD drives in a configuration, in order.
func devices(config map[string]any) (nets, disks, cds []string) {
	for name, value := range config {
		text, _ := value.(string)
		kind := strings.TrimRight(name, "0123456789")
		switch {
		case kind == name: // an option
		case kind == "net":
			nets = append(nets, name)
		case !slices.Contains(buses, kind):
		case !strings.Contains(text, "media=cdrom"):
			disks = append(disks, name)
		case !strings.Contains(text, "cloudinit"): // the drive of cloud-init is filled by Proxmox VE
			cds = append(cds, name)
		}
	}
	slices.Sort(nets)
	slices.Sort(disks)
	slices.Sort(cds)
	return nets, disks, cds
}
