package guide

import "strings"

// trouble is the guide that has a section for each cause of a failed boot and each check of `maas
// doctor`.
const trouble = "troubleshooting"

// OfBoot returns the section about the cause of a failed boot, see pxe.Attempt.Cause, as
// "troubleshooting#boot-silent-grub". Empty means that there is no cause.
func OfBoot(cause string) string {
	if cause == "" {
		return ""
	}
	return trouble + "#boot-" + cause
}

// OfCheck returns the section about a check of `maas doctor`.
func OfCheck(check string) string {
	return trouble + "#doctor-" + strings.ReplaceAll(check, " ", "-")
}
