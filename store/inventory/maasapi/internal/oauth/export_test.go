package oauth

// Len returns how many names the limiter remembers.
func (l *Limiter) Len() int { return len(l.names) }
