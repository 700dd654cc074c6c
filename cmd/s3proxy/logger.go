package main

import (
	"io"
	"log/slog"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/audit"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy"
)

func newLogger(c *config.Config, w io.Writer) *slog.Logger {
	level := map[string]slog.Level{
		"error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": proxy.LevelTrace,
	}[c.LogLevel]
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.LevelKey && a.Value.Any() == proxy.LevelTrace {
			return slog.String(slog.LevelKey, "TRACE")
		}
		return a
	}}
	var handler slog.Handler = slog.NewTextHandler(w, opts)
	if c.LogFormat == "json" {
		handler = slog.NewJSONHandler(audit.Escaping(w), opts)
	}
	log := slog.New(handler)
	slog.SetDefault(log) // KMS drivers log there
	return log
}
