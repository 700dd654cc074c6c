package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// complete makes the shells' completion know the values of all flags below a command: those with
// a fixed set of them, the schemes of KMSs, and files and folders by what the flag's help calls
// its value.
func complete(cmd *cobra.Command) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		kind, _ := pflag.UnquoteUsage(f)
		var values cobra.CompletionFunc
		switch choices := config.Choices(f.Name); {
		case choices != nil:
			values = cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)
		case f.Name == "kms" || f.Name == "kms-read":
			values = kmsSchemes
		case f.Name == "bucket":
			values = func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
				return configuredBuckets(cmd, ""), cobra.ShellCompDirectiveNoFileComp
			}
		case kind == "file" && f.Name == "config":
			values = cobra.FixedCompletions([]string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt)
		case kind == "file":
			values = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
		case kind == "folder":
			values = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
		default:
			values = cobra.NoFileCompletions
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, values) // fails for a flag that has one already
	})
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = arguments(cmd)
	}
	for _, sub := range cmd.Commands() {
		complete(sub)
	}
}

func kmsSchemes(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, scheme := range drivers().Schemes() {
		all = append(all, scheme+"://")
	}
	return all, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// arguments completes what a command takes, as its usage line says: buckets that the
// configuration names, and files.
func arguments(cmd *cobra.Command) cobra.CompletionFunc {
	files := strings.Contains(cmd.Use, "FILE")
	if !strings.Contains(cmd.Use, "s3://") {
		return cobra.NoFileCompletions
	}
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		directive := cobra.ShellCompDirectiveNoSpace // a key or a prefix may follow
		if !files {
			directive |= cobra.ShellCompDirectiveNoFileComp
		}
		return configuredBuckets(cmd, "s3://"), directive
	}
}

// configuredBuckets are those that the configuration names, without a request to anybody.
func configuredBuckets(cmd *cobra.Command, before string) (all []cobra.Completion) {
	c, err := config.Load(cmd.Flags())
	if err != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Buckets)) {
		all = append(all, before+name)
	}
	return all
}
