//go:build !linux

package journal

import "os"

func syncData(f *os.File) error { return f.Sync() }

// syncDir does nothing: how to sync a directory differs between systems, and not all can.
func syncDir(string) error { return nil }

// lockFile does nothing: only Linux keeps a second process out.
func lockFile(*os.File) error { return nil }
