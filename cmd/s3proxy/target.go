package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// parseTarget reads s3://bucket or s3://bucket/prefix. It takes the prefix as it stands.
func parseTarget(arg string) (ops.Target, error) {
	rest, ok := strings.CutPrefix(arg, "s3://")
	bucket, prefix, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" {
		return ops.Target{}, config.Usagef("%q is not of the form s3://bucket or s3://bucket/prefix", arg)
	}
	return ops.Target{Bucket: bucket, Prefix: prefix}, nil
}

// parseBucketURL reads s3://bucket, with or without a final slash.
func parseBucketURL(arg string) (ops.Target, error) {
	bucket, ok := strings.CutPrefix(arg, "s3://")
	bucket = strings.TrimSuffix(bucket, "/")
	if !ok || bucket == "" || strings.Contains(bucket, "/") {
		return ops.Target{}, config.Usagef("%q is not of the form s3://bucket", arg)
	}
	return ops.Target{Bucket: bucket}, nil
}

// parseEach reads all arguments of a command with one of the functions above.
func parseEach(args []string, parse func(string) (ops.Target, error)) ([]ops.Target, error) {
	var all []ops.Target
	for _, arg := range args {
		one, err := parse(arg)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// someArgs refuses a command line without arguments, and says what they should be.
func someArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return config.Usagef("%s takes %s", strings.TrimPrefix(cmd.CommandPath(), "s3proxy "), what)
		}
		return nil
	}
}

// parseObjectURL reads s3://bucket/key. It takes the key as it stands.
func parseObjectURL(arg string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(arg, "s3://")
	bucket, key, found := strings.Cut(rest, "/")
	if !ok || !found || bucket == "" || key == "" {
		return "", "", config.Usagef("%q is not of the form s3://bucket/key", arg)
	}
	return bucket, key, nil
}

// oneArgument refuses any other number of arguments with a usage error.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return config.Usagef("%s takes one argument: %s", cmd.CommandPath(), what)
		}
		return nil
	}
}
