package rpc

// TopicStatus says how far a rack is with one topic.
type TopicStatus struct {
	Name string
	// Position is the position on disk.
	Position Position
	// Served is the position that Apply or Change took last; zero when none did since the start.
	Served Position
	// Refused is the reason why the state on disk is not served, empty when it is served.
	Refused string
}

// Status returns how far the rack is with each of its topics, in their order. It may be called
// concurrently with all else.
func (r *Rack) Status() []TopicStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]TopicStatus, len(r.status))
	for i, s := range r.status {
		s.Name = r.cfg.Topics[i].Name
		s.Position = r.cfg.Replica.Position(s.Name)
		out[i] = s
	}
	return out
}

// served notes what came of an attempt to serve a topic.
func (r *Rack) served(topic int, at Position, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.status[topic]
	if err != nil {
		s.Refused = err.Error()
		return
	}
	s.Served, s.Refused = at, ""
}
