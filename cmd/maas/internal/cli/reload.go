package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/cmd/maas/internal/config"
)

// liveLogger returns a logger that writes to w as the valid configuration says. On SIGHUP it reads
// the configuration again and applies the level; all other keys need a restart. Changed certificate
// files need no signal.
func liveLogger(ctx context.Context, w io.Writer, cfg config.Log, reread func() (config.Config, error)) *slog.Logger {
	level := new(slog.LevelVar)
	level.Set(levelOf(cfg))
	options := &slog.HandlerOptions{Level: level}
	var log *slog.Logger
	if cfg.Format == "text" || cfg.Format == "" && isTerminal(w) {
		log = slog.New(slog.NewTextHandler(w, options))
	} else {
		log = slog.New(slog.NewJSONHandler(w, options))
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, unix.SIGHUP)
	go func() {
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				again(log, level, reread)
			}
		}
	}()
	return log
}

// again applies the reloadable keys. If the configuration has an error, again changes nothing.
func again(log *slog.Logger, level *slog.LevelVar, reread func() (config.Config, error)) {
	cfg, err := reread()
	if err != nil {
		log.Error("configuration refused, the last one stays", "err", err)
		return
	}
	level.Set(levelOf(cfg.Log))
	log.Info("configuration reloaded; only log.level changes while the daemon runs", "level", level.Level())
}

// levelOf returns the level of a name; the configuration has been checked.
func levelOf(cfg config.Log) (level slog.Level) {
	if cfg.Level != "" {
		_ = level.UnmarshalText([]byte(cfg.Level)) // cannot fail: the configuration is valid
	}
	return level
}
