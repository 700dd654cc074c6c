//go:build noembedded

package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// embeddedStore is never made: the tag noembedded builds a proxy without the store, which is
// half of the binary. It is for images and packages, where every proxy has an upstream.
type embeddedStore struct {
	client *upstream.Client
	done   chan error
}

func (*embeddedStore) close() {}

// noteOnBuild ends the help of serve.
const noteOnBuild = "\n\nThis build has no embedded store: it needs --upstream and --kms."

// hasEmbeddedStore says what to do in this build.
func hasEmbeddedStore() error {
	return config.Usagef("this build of s3proxy has no embedded store: name a store by --upstream URL, S3PROXY_UPSTREAM or upstream in the configuration file, and a key for it by --kms (a build without the tag noembedded has the store)")
}

func startEmbedded(*config.Config, *slog.Logger, func(*upstream.Config)) (*embeddedStore, error) {
	return nil, hasEmbeddedStore()
}

func addEmbeddedStore(*cobra.Command) {}
