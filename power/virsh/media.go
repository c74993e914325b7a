package virsh

import (
	"context"
	"encoding/xml"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/digitalocean/go-libvirt"

	"github.com/gomaas/maas/power"
)

// disk is a disk of a definition, as far as it says what is in a CD drive.
type disk struct {
	XMLName xml.Name   `xml:"disk"`
	Type    string     `xml:"type,attr"`
	Device  string     `xml:"device,attr"`
	Source  *source    `xml:"source"`
	Target  diskTarget `xml:"target"`
	// ReadOnly is an empty element.
	ReadOnly *struct{} `xml:"readonly"`
}

type source struct {
	File     string      `xml:"file,attr,omitempty"`
	Protocol string      `xml:"protocol,attr,omitempty"`
	Name     string      `xml:"name,attr,omitempty"`
	Query    string      `xml:"query,attr,omitempty"`
	Host     *sourceHost `xml:"host"`
}

type sourceHost struct {
	Name string `xml:"name,attr"`
	Port string `xml:"port,attr,omitempty"`
}

type diskTarget struct {
	Dev string `xml:"dev,attr"`
	Bus string `xml:"bus,attr,omitempty"`
}

// image returns what is in the drive; empty = nothing.
func (d disk) image() string {
	s := d.Source
	switch {
	case s == nil:
		return ""
	case s.File != "":
		return s.File
	case s.Protocol == "" || s.Host == nil:
		return ""
	}
	host := s.Host.Name
	if s.Host.Port != "" && s.Host.Port != imagePorts[s.Protocol] {
		host = net.JoinHostPort(host, s.Host.Port)
	}
	return (&url.URL{Scheme: s.Protocol, Host: host, Path: "/" + s.Name, RawQuery: s.Query}).String()
}

// imagePorts are the schemes of images that QEMU reads by itself, with their ports.
var imagePorts = map[string]string{"http": "80", "https": "443"}

// insert puts an image into the drive: a path on the host, or a URL.
func (d *disk) insert(op, image string) error {
	if strings.HasPrefix(image, "/") {
		d.Type, d.Source = "file", &source{File: image}
		return nil
	}
	u, err := url.Parse(image)
	if err != nil || u.Host == "" || imagePorts[u.Scheme] == "" {
		return power.Errorf(power.Settings, op, "libvirt takes images at http and https, and files of its host; write such as http://192.0.2.1/install.iso")
	}
	port := u.Port()
	if port == "" {
		port = imagePorts[u.Scheme]
	}
	d.Type = "network"
	d.Source = &source{Protocol: u.Scheme, Name: strings.TrimPrefix(u.Path, "/"), Query: u.RawQuery, Host: &sourceHost{u.Hostname(), port}}
	return nil
}

// cdDrive returns the CD drive of the definition; exists = false means that it has none, and
// returns one at a free place.
func (d *driver) cdDrive(ctx context.Context, op string) (drive disk, exists bool, err error) {
	var text string
	err = d.do(ctx, op, func() error {
		text, err = d.virt.DomainGetXMLDesc(d.machine, libvirt.DomainXMLInactive)
		return err
	})
	if err != nil {
		return disk{}, false, err
	}
	var definition struct {
		Disks []disk `xml:"devices>disk"`
	}
	if err := xml.Unmarshal([]byte(text), &definition); err != nil {
		return disk{}, false, power.Errorf(power.ActionFailed, op, "the definition of the machine: %w", err)
	}
	var taken []string
	for _, one := range definition.Disks {
		if one.Device == "cdrom" {
			return one, true, nil
		}
		taken = append(taken, one.Target.Dev)
	}
	for letter := 'a'; letter <= 'z'; letter++ {
		if name := "sd" + string(letter); !slices.Contains(taken, name) {
			return disk{Device: "cdrom", Target: diskTarget{name, "sata"}, ReadOnly: new(struct{})}, false, nil
		}
	}
	return disk{}, false, power.Errorf(power.ActionFailed, op, "the machine has no free place for a CD drive")
}

// change writes the drive into the definition, and into the machine if it runs: the tray opens and
// closes. A drive that is new exists from the next start on, since its bus takes none before.
func (d *driver) change(ctx context.Context, op string, drive disk, exists bool) error {
	text, err := xml.Marshal(drive)
	if err != nil {
		return power.Errorf(power.Settings, op, "%w", err)
	}
	state, err := d.PowerState(ctx)
	if err != nil {
		return err
	}
	return d.do(ctx, op, func() error {
		if !exists {
			return d.virt.DomainAttachDeviceFlags(d.machine, string(text), uint32(libvirt.DomainDeviceModifyConfig))
		}
		flags := libvirt.DomainDeviceModifyConfig
		if state == power.On {
			flags |= libvirt.DomainDeviceModifyLive
		}
		return d.virt.DomainUpdateDeviceFlags(d.machine, string(text), flags)
	})
}

// InsertMedia implements power.MediaDrive.
func (d *driver) InsertMedia(ctx context.Context, image string) error {
	const op = "insert media"
	drive, exists, err := d.cdDrive(ctx, op)
	if err != nil {
		return err
	}
	if err := drive.insert(op, image); err != nil {
		return err
	}
	return d.change(ctx, op, drive, exists)
}

// EjectMedia implements power.MediaDrive.
func (d *driver) EjectMedia(ctx context.Context) error {
	const op = "eject media"
	drive, exists, err := d.cdDrive(ctx, op)
	if err != nil || !exists || drive.image() == "" {
		return err
	}
	drive.Type, drive.Source = "file", nil
	return d.change(ctx, op, drive, exists)
}

// Media implements power.MediaDrive.
func (d *driver) Media(ctx context.Context) (string, error) {
	drive, exists, err := d.cdDrive(ctx, "read the media")
	if err != nil || !exists {
		return "", err
	}
	return drive.image(), nil
}
