// Package smalldisk gives a test a disk that runs full and can become read-only.
//
//	func TestFullDisk(t *testing.T) {
//		smalldisk.Run(t, 1<<20, func(disk smalldisk.Disk) {
//			journal, err := journal.Open(filepath.Join(disk.Dir, "leases"))
//			...
//			disk.Fill() // each write fails with "no space left on device"
//			disk.Empty()
//			disk.ReadOnly(func() { ... })
//		})
//	}
//
// The disk is a tmpfs in a mount namespace of its own. A test process has many threads, and a
// namespace belongs to a thread, so Run starts the test binary again, for this test alone, in a new
// namespace. That needs root or user namespaces; without them the test is skipped.
package smalldisk
