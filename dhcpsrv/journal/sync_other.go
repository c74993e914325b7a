//go:build !linux

package journal

import "os"

func syncData(f *os.File) error { return f.Sync() }

// syncDir does nothing: systems differ in how, and whether, a directory can be synced.
func syncDir(string) error { return nil }

// lockFile does nothing: only Linux keeps a second process out.
func lockFile(*os.File) error { return nil }
