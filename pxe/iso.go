package pxe

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/gomaas/maas/pxe/internal/iso9660"
)

// isoSystem says how a distribution's ISO image starts from the network: by kernel and initrd out
// of it, and a command line by which the system finds the rest at {iso}, the URL of the image,
// below which the files inside are served, too.
type isoSystem struct {
	name           string
	needs          []string // further files by which it is known
	kernel, initrd []string // the first that exists is taken
	cmdline        string
	problem        string // why it cannot start
}

var isoSystems = []isoSystem{
	{name: "Ubuntu", kernel: []string{"casper/vmlinuz", "casper/vmlinuz.efi"}, initrd: []string{"casper/initrd", "casper/initrd.lz", "casper/initrd.gz"},
		cmdline: "boot=casper ip=dhcp url={iso} cloud-config-url=/dev/null"},
	{name: "Debian live", needs: []string{"live/filesystem.squashfs"}, kernel: []string{"live/vmlinuz"}, initrd: []string{"live/initrd.img", "live/initrd"},
		cmdline: "boot=live components fetch={iso}/live/filesystem.squashfs"},
	{name: "Fedora live", needs: []string{"liveos/squashfs.img"}, kernel: []string{"images/pxeboot/vmlinuz"}, initrd: []string{"images/pxeboot/initrd.img"},
		cmdline: "root=live:{iso}/LiveOS/squashfs.img rd.live.image ip=dhcp"},
	{name: "Fedora, with packages", needs: []string{"repodata/repomd.xml"}, kernel: []string{"images/pxeboot/vmlinuz"}, initrd: []string{"images/pxeboot/initrd.img"},
		cmdline: "inst.stage2={iso} inst.repo={iso} ip=dhcp"},
	{name: "AlmaLinux, with packages", needs: []string{"baseos/repodata/repomd.xml"}, kernel: []string{"images/pxeboot/vmlinuz"}, initrd: []string{"images/pxeboot/initrd.img"},
		cmdline: "inst.stage2={iso} inst.repo={iso} ip=dhcp"},
	{name: "Fedora or AlmaLinux", needs: []string{"images/install.img"}, kernel: []string{"images/pxeboot/vmlinuz"}, initrd: []string{"images/pxeboot/initrd.img"},
		cmdline: "inst.stage2={iso} ip=dhcp"},
	{name: "openSUSE", kernel: []string{"boot/x86_64/loader/linux", "boot/aarch64/linux"}, initrd: []string{"boot/x86_64/loader/initrd", "boot/aarch64/initrd"},
		cmdline: "install={iso}"},
	{name: "Alpine", needs: []string{"boot/modloop-lts"}, kernel: []string{"boot/vmlinuz-lts"}, initrd: []string{"boot/initramfs-lts"},
		cmdline: "ip=dhcp modules=loop,squashfs modloop={iso}/boot/modloop-lts alpine_repo={iso}/apks"},
	{name: "Alpine for virtual machines", needs: []string{"boot/modloop-virt"}, kernel: []string{"boot/vmlinuz-virt"}, initrd: []string{"boot/initramfs-virt"},
		cmdline: "ip=dhcp modules=loop,squashfs modloop={iso}/boot/modloop-virt alpine_repo={iso}/apks"},
	{name: "Arch Linux", kernel: []string{"arch/boot/x86_64/vmlinuz-linux"}, initrd: []string{"arch/boot/x86_64/initramfs-linux.img"},
		cmdline: "archisobasedir=arch archiso_http_srv={iso}/ ip=dhcp"},
	{name: "Debian installer", kernel: []string{"install.amd/vmlinuz", "install.a64/vmlinuz"}, initrd: []string{"install.amd/initrd.gz", "install.a64/initrd.gz"},
		problem: "the installer on Debian's ISO images looks for its packages on a CD only; maas image add debian/12 fetches the one that starts from the network"},
}

// fromISO returns the Linux profile by which a system on an ISO image starts; ok is false if the
// image is of no system that is known.
func (p Profile) fromISO(im *iso9660.Image) (linux Profile, ok bool, err error) {
	has := func(name string) bool { _, err := im.Open(name); return err == nil }
	first := func(names []string) string {
		for _, n := range names {
			if has(n) {
				return n
			}
		}
		return ""
	}
	for _, s := range isoSystems {
		kernel, initrd := first(s.kernel), first(s.initrd)
		known := kernel != "" && initrd != ""
		for _, n := range s.needs {
			known = known && has(n)
		}
		if !known {
			continue
		}
		if s.problem != "" {
			return p, false, errors.New(s.problem)
		}
		linux = p
		linux.Kind, linux.Image = Linux, ""
		linux.Kernel, linux.Initrd = path.Join(p.Image, kernel), []string{path.Join(p.Image, initrd)}
		linux.Cmdline = strings.TrimSpace(strings.ReplaceAll(s.cmdline, "{iso}", "{http}/images/"+p.Image) + " " + p.Cmdline)
		return linux, true, nil
	}
	return p, false, nil
}

// openISO opens an ISO image of a file system. The caller closes the file.
func openISO(fsys fs.FS, name string) (*iso9660.Image, fs.File, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	var im *iso9660.Image
	if err == nil {
		im, err = iso9660.Open(readerAt(f), info.Size())
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return im, f, nil
}

// readerAt reads a file at any place; one that only seeks is read by one caller at a time.
func readerAt(f fs.File) io.ReaderAt {
	switch f := f.(type) {
	case io.ReaderAt:
		return f
	case io.ReadSeeker:
		return &seekingReader{f: f}
	}
	return noReader{}
}

type seekingReader struct {
	mu sync.Mutex
	f  io.ReadSeeker
}

// ReadAt implements io.ReaderAt.
func (s *seekingReader) ReadAt(b []byte, at int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.f.Seek(at, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.f, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

type noReader struct{}

// ReadAt implements io.ReaderAt.
func (noReader) ReadAt([]byte, int64) (int, error) {
	return 0, errors.New("pxe: the file system's files cannot be read at any place")
}

// insideISO opens a file inside an ISO image: "debian.iso/live/vmlinuz".
func insideISO(fsys fs.FS, name string) (content, error) {
	absent := &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	at := strings.Index(strings.ToLower(name), ".iso/")
	if at < 0 {
		return content{}, absent
	}
	image, inner := name[:at+len(".iso")], name[at+len(".iso/"):]
	im, f, err := openISO(fsys, image)
	if err != nil {
		return content{}, err
	}
	part, err := im.Open(inner)
	if err != nil {
		f.Close()
		return content{}, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return content{}, err
	}
	return content{ReadCloser: isoFile{part, f}, size: part.Size(), modTime: info.ModTime()}, nil
}

// isoFile is a file of an image, whose file it closes.
type isoFile struct {
	*io.SectionReader
	image fs.File
}

// Close closes the image.
func (f isoFile) Close() error { return f.image.Close() }

// Prepare returns what a server renders for a profile: of an ISO image that is known the kernel
// inside it. What machines cannot boot is an error. If files is nil, nothing is looked into.
func Prepare(p Profile, files fs.FS) (Profile, error) {
	if files == nil {
		return p, nil
	}
	switch p.kind() {
	case ISO:
		im, f, err := openISO(files, p.Image)
		if err != nil {
			return p, fmt.Errorf("%s: %w", p.Image, err)
		}
		defer f.Close()
		linux, _, err := p.fromISO(im)
		if err != nil {
			return p, fmt.Errorf("%s: %w", p.Image, err)
		}
		return linux, nil
	case ESXi:
		_, err := readESXi(files, p, "", "")
		return p, err
	}
	return p, nil
}

// readESXi reads the boot.cfg of an installation medium, rewritten.
func readESXi(files fs.FS, p Profile, prefix, options string) (string, error) {
	name := path.Join(p.Dir, esxiBoot)
	f, err := files.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBootConfig))
	if err != nil {
		return "", err
	}
	text, err := esxiConfig(string(data), prefix, options)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// CheckMedia reports the first thing about the files of a profile that machines could not boot: an
// ISO image that is none, a boot.cfg of ESXi that leaves its directory, a wimboot that is no
// program. The error says how to cure it. Files that do not exist are not reported.
func CheckMedia(p Profile, files fs.FS) error {
	for _, q := range append([]Profile{p}, p.Profiles...) {
		_, err := Prepare(q, files)
		if err == nil && q.kind() == Windows {
			err = checkBeginnings(files, q)
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		cure := ""
		if q.kind() == ISO && !strings.Contains(err.Error(), ";") {
			cure = "; put a whole ISO image there"
		}
		return fmt.Errorf("pxe: profile %q: %w%s", q.Name, err, cure)
	}
	return nil
}

// checkBeginnings looks at the first bytes of the files of Windows.
func checkBeginnings(files fs.FS, p Profile) error {
	for name, magic := range map[string]string{wimboot: "MZ", windowsBC: "regf", windowsWM: "MSWIM\x00\x00\x00"} {
		f, err := files.Open(path.Join(p.Dir, name))
		if err != nil {
			return err
		}
		head := make([]byte, len(magic))
		_, err = io.ReadFull(f, head)
		f.Close()
		if err != nil || string(head) != magic {
			return fmt.Errorf("%s is not what its name says, or is empty; copy it again", path.Join(p.Dir, name))
		}
	}
	return nil
}
