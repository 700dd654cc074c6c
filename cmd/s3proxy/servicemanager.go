package main

import (
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellServiceManager tells systemd, where it asked for that (Type=notify), that the proxy serves
// or is shutting down.
func tellServiceManager(state string, log *slog.Logger) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("the service manager could not be told the proxy's state", "state", state, "error", err)
	}
}
