// Package packaging makes the Debian package: the program, its manual page, systemd units for a
// region, a rack or both in one process, and a user for them. build.sh is how.
package packaging
