package journal

// FailSyncDir lets the sync of the journal's directory fail, or not.
func (j *Journal) FailSyncDir(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.syncDir = syncDir; err != nil {
		j.syncDir = func(string) error { return err }
	}
}
