// Package tftp serves and reads files by TFTP, with the windows that make it
// fast: RFC 1350, 2347 (options), 2348 (blksize), 2349 (tsize, timeout) and
// 7440 (windowsize).
package tftp
