package discovery

import (
	"errors"
	"log/slog"
)

// Config says where to listen and whom to tell.
type Config struct {
	// Interfaces are names of Ethernet interfaces. At least one.
	Interfaces []string
	// Sink is told each event, from one goroutine per interface. It must not block for long: frames queue in the kernel
	// meanwhile, and are lost when its queue is full. Required.
	Sink func(Event)
	// Table remembers. Nil makes one with the default bounds.
	Table *Table
	// Log receives frames that could not be read as ARP, at debug level. Nil discards.
	Log *slog.Logger
}

func (c *Config) check() error {
	if len(c.Interfaces) == 0 || c.Sink == nil {
		return errors.New("discovery: Config needs Interfaces and Sink")
	}
	if c.Table == nil {
		c.Table = NewTable(TableConfig{})
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
