package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// asOwner calls do with the rights of the data directory's owner, if the caller is root. The daemon
// writes there: with the rights of root, a link that it made, or an intruder in its place, would
// lead a tool to files of others. What do creates belongs to the daemon then.
func (c stored) asOwner(do func() error) (err error) {
	st, err := os.Stat(c.Data)
	if errors.Is(err, fs.ErrNotExist) {
		return do() // a data directory that the caller makes is the caller's
	}
	if err != nil {
		return err
	}
	owner, known := st.Sys().(*syscall.Stat_t)
	if !known || os.Geteuid() != 0 || owner.Uid == 0 {
		return do()
	}
	undo, err := become(int(owner.Uid), int(owner.Gid))
	if err != nil {
		return fmt.Errorf("become the owner of %s: %w", c.Data, err)
	}
	defer func() { err = errors.Join(err, undo()) }()
	return do()
}

// become sets the effective user and group of all threads, which decide about access to files. The
// real user stays root, so that the owner can neither trace nor signal the process meanwhile. undo
// restores them.
func become(uid, gid int) (undo func() error, err error) {
	groups, err := syscall.Getgroups()
	if err != nil {
		return nil, err
	}
	undo = func() error {
		// The user is first: only root may set the others.
		return errors.Join(syscall.Setresuid(-1, 0, -1), syscall.Setresgid(-1, 0, -1), syscall.Setgroups(groups))
	}
	err = syscall.Setgroups([]int{gid})
	if err == nil {
		err = syscall.Setresgid(-1, gid, -1)
	}
	if err == nil {
		err = syscall.Setresuid(-1, uid, -1)
	}
	if err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}
