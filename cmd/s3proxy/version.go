package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/envelope"
)

// version is set by the linker where a release is built without its tag
// (-X main.version=1.2.3); CHANGELOG.md says what is in it.
var version string

// released are the versions that Go gives a build of a tag. Any other build has a version that
// Go makes of its commit.
var released = regexp.MustCompile(`^v(\d+\.\d+\.\d+(-[a-z]+\.?\d+)?)$`)

// build is what a person needs to know of a program in a report of a bug.
type build struct {
	Version  string `json:"version"` // "devel" where it is no release
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // the commit is not all
	Go       string `json:"go"`
	Format   int    `json:"object-format"`
}

func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) build {
	b := build{Version: version, Go: info.GoVersion, Format: envelope.Format}
	if tag := released.FindStringSubmatch(info.Main.Version); tag != nil {
		b.Version = cmp.Or(b.Version, tag[1])
	}
	b.Version = cmp.Or(b.Version, "devel")
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	commit := ""
	if b.Commit != "" {
		commit = " (commit " + b.Commit
		if b.Modified {
			commit += ", modified"
		}
		commit += ")"
	}
	return fmt.Sprintf("s3proxy %s%s, object format %d, %s", b.Version, commit, b.Format, b.Go)
}

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit, the object format that this version writes, and the Go version",
		Example: `  s3proxy version
  s3proxy version --json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(thisBuild())
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), thisBuild())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
