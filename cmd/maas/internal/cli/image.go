package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/pxe/images"
	"github.com/gomaas/maas/store/inventory"
)

// imageCmd is the group `maas image`.
type imageCmd struct {
	Add     imageAddCmd     `cmd:"" help:"Fetch an image of boot files, or bring one up to date. Racks get it from the region."`
	List    imageListCmd    `cmd:"" help:"List the images."`
	Show    imageShowCmd    `cmd:"" help:"Show an image with its files, as profiles name them."`
	Remove  imageRemoveCmd  `cmd:"" help:"Remove an image. Profiles must not name its files."`
	GC      imageGCCmd      `cmd:"" name:"gc" help:"Remove content that no image has from the region's disk."`
	Sources imageSourcesCmd `cmd:"" help:"List the distributions that are known."`
}

// imageAddCmd is `maas image add`.
type imageAddCmd struct {
	remote
	Name     string `arg:"" help:"Name of the image: FAMILY/RELEASE or FAMILY/RELEASE/ARCH, such as debian/12; with --source or --iso any path."`
	Mirror   string `help:"Mirror to use in place of the source's own." placeholder:"URL"`
	Key      string `help:"OpenPGP keyring that alone may have signed what the source sends, armored." type:"existingfile" placeholder:"FILE"`
	Source   string `help:"Description of a source that is not known, as YAML or JSON; see maas image sources -o yaml." type:"existingfile" placeholder:"FILE"`
	ISO      string `name:"iso" help:"ISO image whose kernel and initrd are the files. It needs --sha256." placeholder:"URL"`
	SHA256   string `name:"sha256" help:"Checksum of the ISO image." placeholder:"SUM"`
	Kernel   string `help:"Path of the kernel in the ISO image (default: where distributions keep it)." placeholder:"PATH"`
	Initrd   string `help:"Path of the initrd in the ISO image." placeholder:"PATH"`
	Unsigned bool   `help:"Accept checksums without a signature over plain HTTP, where any host on the way can replace them."`
	NoWait   bool   `help:"Do not wait until the image is fetched."`
}

// Run runs the command.
func (c imageAddCmd) Run(ctx context.Context, io stdio) error {
	spec, given, err := c.spec()
	if err != nil {
		return err
	}
	var body []byte
	if given {
		if body, err = json.Marshal(spec); err != nil {
			return err
		}
	}
	var info region.ImageInfo
	if err := c.call(ctx, http.MethodPut, imagePath("", c.Name), bytes.NewReader(body), "application/json", &info); err != nil {
		return err
	}
	if c.NoWait {
		return c.show(io, info)
	}
	return c.follow(ctx, io, info)
}

// spec returns what to fetch, and whether the flags say anything about it.
func (c imageAddCmd) spec() (spec inventory.ImageSpec, given bool, err error) {
	spec = inventory.ImageSpec{Mirror: c.Mirror, Unsigned: c.Unsigned}
	switch {
	case c.ISO != "" && c.Source != "":
		return spec, false, errors.New("--iso and --source exclude each other")
	case c.ISO != "":
		spec.Source, err = c.isoSource()
	case c.Source != "":
		spec.Source = new(images.Source)
		var data []byte
		if data, err = readFile(c.Source); err == nil {
			err = yaml.UnmarshalWithOptions(data, spec.Source, yaml.Strict())
		}
	case c.SHA256 != "" || c.Kernel != "" || c.Initrd != "":
		err = errors.New("--sha256, --kernel and --initrd describe an ISO image; name it with --iso")
	case c.Key != "":
		var source images.Source
		source, _, err = inventory.BootImage{Name: c.Name}.What()
		spec.Source = &source
	}
	if err != nil {
		return spec, false, err
	}
	if c.Key != "" {
		data, err := readFile(c.Key)
		if err != nil {
			return spec, false, err
		}
		spec.Source.Keys, spec.Source.Armor = nil, string(data)
	}
	return spec, spec != inventory.ImageSpec{}, nil
}

func (c imageAddCmd) isoSource() (*images.Source, error) {
	at, err := url.Parse(c.ISO)
	if err != nil || at.Host == "" || !strings.HasSuffix(at.Path, ".iso") {
		return nil, fmt.Errorf("--iso %q is no URL of an .iso file", c.ISO)
	}
	if c.SHA256 == "" {
		return nil, errors.New("--iso needs --sha256, by which the image is verified")
	}
	if (c.Kernel == "") != (c.Initrd == "") {
		return nil, errors.New("--kernel and --initrd belong together")
	}
	file := path.Base(at.Path)
	at.Path, at.RawPath = path.Dir(at.Path), ""
	s := &images.Source{Name: "iso", Base: at.String(), Archive: file, Sums: map[string]string{file: c.SHA256}}
	if c.Kernel != "" {
		s.Files = map[string]string{"kernel": c.Kernel, "initrd": c.Initrd}
	}
	return s, nil
}

// followEvery is the pause between two looks at a fetch.
const followEvery = 200 * time.Millisecond

// follow shows a bar until the image is fetched. The fetch goes on after an interrupt.
func (c imageAddCmd) follow(ctx context.Context, io stdio, info region.ImageInfo) error {
	bar := fetchBar{w: io.err, terminal: isTerminal(io.err)}
	defer bar.end()
	for info.State == "waiting" || info.State == "fetching" {
		bar.show(info.Progress)
		select {
		case <-ctx.Done():
			return fmt.Errorf("the region goes on fetching %s; maas image show %s shows it", c.Name, c.Name)
		case <-time.After(followEvery):
		}
		next := region.ImageInfo{}
		if err := c.get(ctx, imagePath("/show", c.Name), &next); err != nil {
			return err
		}
		info = next
	}
	bar.end()
	if info.State == "failed" {
		former := ""
		if len(info.Files) > 0 {
			former = "; the files of " + info.Fetched.Local().Format(time.DateTime) + " stay in service"
		}
		return fmt.Errorf("%s: %s%s", c.Name, info.Problem, former)
	}
	return c.show(io, info)
}

func (c remote) show(io stdio, info region.ImageInfo) error {
	return c.print(io.out, info, "FILE\tSIZE\tSHA256", func(row func(...string)) {
		for _, f := range info.Files {
			row(f.Name, size(f.Size), f.SHA256)
		}
	})
}

func imagePath(what, name string) string {
	return region.ImagesPath + what + "?" + url.Values{"name": {name}}.Encode()
}

// fetchBar draws the progress of a file on a terminal and nothing elsewhere.
type fetchBar struct {
	w        io.Writer
	terminal bool
	drawn    bool
}

func (b *fetchBar) show(p *region.ImageProgress) {
	if !b.terminal || p == nil || p.File == "" {
		return
	}
	full, total := 0, "?"
	if p.Total > 0 {
		full, total = int(barWidth*p.Done/p.Total), size(p.Total)
	}
	full = min(full, barWidth)
	fmt.Fprintf(b.w, "\r\x1b[K[%s%s] %s of %s %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), size(p.Done), total, path.Base(p.File))
	b.drawn = true
}

// end moves below the bar.
func (b *fetchBar) end() {
	if b.drawn {
		fmt.Fprintln(b.w)
	}
	b.drawn = false
}

// imageListCmd is `maas image list`.
type imageListCmd struct{ remote }

// Run runs the command.
func (c imageListCmd) Run(ctx context.Context, io stdio) error {
	var all []region.ImageInfo
	if err := c.get(ctx, region.ImagesPath, &all); err != nil {
		return err
	}
	return c.print(io.out, all, "IMAGE\tSTATE\tVERSION\tSIZE\tFETCHED\tVERIFIED\tPROBLEM", func(row func(...string)) {
		for _, i := range all {
			row(i.Name, i.State, i.Version, size(i.Size), stamp(i.Fetched), i.Verified, i.Problem)
		}
	})
}

// imageShowCmd is `maas image show`.
type imageShowCmd struct {
	remote
	Name string `arg:"" help:"Name of the image."`
}

// Run runs the command.
func (c imageShowCmd) Run(ctx context.Context, io stdio) error {
	var info region.ImageInfo
	if err := c.get(ctx, imagePath("/show", c.Name), &info); err != nil {
		return err
	}
	if c.Output == "table" {
		fmt.Fprintf(io.out, "%s: %s, version %s, %s\nfrom %s, verified: %s\n", info.Name, info.State, info.Version, size(info.Size), info.Origin, info.Verified)
		if info.Problem != "" {
			fmt.Fprintf(io.out, "problem: %s\n", info.Problem)
		}
	}
	return c.show(io, info)
}

// imageRemoveCmd is `maas image remove`.
type imageRemoveCmd struct {
	remote
	Name string `arg:"" help:"Name of the image."`
}

// Run runs the command.
func (c imageRemoveCmd) Run(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, imagePath("", c.Name), nil, "", nil)
}

// imageGCCmd is `maas image gc`.
type imageGCCmd struct{ remote }

// Run runs the command.
func (c imageGCCmd) Run(ctx context.Context, io stdio) error {
	var out struct {
		Freed int64 `json:"freed"`
	}
	if err := c.post(ctx, region.ImagesPath+"/gc", nil, &out); err != nil {
		return err
	}
	return c.print(io.out, out, "FREED", func(row func(...string)) { row(size(out.Freed)) })
}

// imageSourcesCmd is `maas image sources`. It needs no daemon.
type imageSourcesCmd struct{ remote }

// Run runs the command.
func (c imageSourcesCmd) Run(io stdio) error {
	all := images.Sources()
	return c.print(io.out, all, "FAMILY\tLATEST\tMIRROR\tKEYS", func(row func(...string)) {
		for _, s := range all {
			keys := "none; checksums over TLS"
			if len(s.Keys) > 0 {
				keys = s.Keys[0]
				if _, err := os.Stat(keys); err != nil {
					keys = "not on this host: " + s.Cure
				}
			}
			row(s.Name, s.Latest, s.Base, keys)
		}
	})
}
