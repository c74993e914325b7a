package try

import (
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
)

// The simulated system. Sizes are typical of a distribution's kernel and initrd.
const (
	kernelName = "demonstration/vmlinuz"
	initrdName = "demonstration/initrd"
	kernelSize = 8 << 20
	initrdSize = 64 << 20
)

// simulatedFiles writes files of plausible sizes below the directory. They stand for loaders,
// kernel and initrd; the simulated machines load them but never run them.
func (l *lab) simulatedFiles(initrd int) error {
	random := rand.NewChaCha8([32]byte{'m', 'a', 'a', 's'})
	for _, f := range []struct {
		name string
		size int
		keep **boottest.Content
	}{
		{"images/" + kernelName, kernelSize, &l.kernel}, {"images/" + initrdName, initrd, &l.initrd},
		{"loaders/undionly.kpxe", 72 << 10, nil}, {"loaders/shimx64.efi", 950 << 10, nil}, {"loaders/grubx64.efi", 2500 << 10, nil},
		{"loaders/snponly.efi", 220 << 10, nil},
	} {
		path := filepath.Join(l.dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		data := make([]byte, f.size)
		random.Read(data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
		if f.keep != nil {
			*f.keep = boottest.NewContent(data)
		}
	}
	l.images, l.loaders = os.DirFS(filepath.Join(l.dir, "images")), pxe.Loaders(filepath.Join(l.dir, "loaders"))
	return nil
}

// logFile receives the daemons' log.
type logFile struct{ file *os.File }

func openLog(dir string) (logFile, error) {
	f, err := os.Create(filepath.Join(dir, "log"))
	return logFile{f}, err
}
