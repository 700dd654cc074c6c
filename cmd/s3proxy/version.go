package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/envelope"
)

// version is that of the release; CHANGELOG.md says what is in it.
const version = "0.1.0"

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the object format that this version writes, and the Go version",
		Example: "  s3proxy version",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			revision := ""
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						revision = " (" + s.Value + ")"
					}
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "s3proxy %s%s, object format %d, %s\n", version, revision, envelope.Format, runtime.Version())
			return nil
		},
	}
}
