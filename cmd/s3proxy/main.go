package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

func main() {
	// The first signal shuts down in an orderly way, the second at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop()
	}()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "s3proxy:", err)
	}
	return exitCode(err)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "s3proxy",
		Short: "Encrypts every object between any S3 client and any S3 store",
		Long: `s3proxy stands between S3 clients and an S3 store. It encrypts every object on
its way in and decrypts it on its way out; the store sees neither plaintext nor
a usable key.

Every setting of a command is a flag, an environment variable (--key-window is
S3PROXY_KEY_WINDOW) and a key in the file that --config names (key-window: 1h).
Flags override the environment, and the environment overrides the file.

` + exitCodesText(),
		Example: `  s3proxy serve                                  # embedded store, keys made on first start
  s3proxy serve --upstream https://s3.example.com --kms localfile:///etc/s3proxy/keyset.json
  s3proxy keys create --kms localfile:///etc/s3proxy/keyset.json
  s3proxy inspect s3://bucket/key --upstream https://s3.example.com
  s3proxy decrypt s3://bucket/key -o file --upstream https://s3.example.com --kms localfile:///etc/s3proxy/keyset.json
  s3proxy gc s3://bucket --upstream https://s3.example.com`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.Version = thisBuild().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(serveCommand(), keysCommand(), inspectCommand(), encryptCommand(), encryptExistingCommand(), decryptCommand(), decryptExistingCommand(), gcCommand(), importConfigCommand(), doctorCommand(), versionCommand(), exitCodesTopic())
	addEmbeddedStore(root)
	complete(root)
	return root
}

// knownCommand refuses an argument where a command should be.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if err := oldArgument(args[0]); err != nil && !cmd.HasParent() {
		return err
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := config.DidYouMean("", args[0], names)
	if hint == "" {
		hint = ": see " + cmd.CommandPath() + " --help"
	}
	return config.Usagef("unknown command %q%s", strings.TrimPrefix(cmd.CommandPath()+" "+args[0], "s3proxy "), hint)
}

// flagError makes a mistake in the flags a usage error, and names the flag that may be meant.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return config.UsageError{Err: err}
	}
	if old := oldFlag(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName())); old != nil {
		return old
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return config.Usagef("%w%s", err, config.DidYouMean("--", unknown.GetSpecifiedName(), names))
}

// noArguments refuses arguments with a usage error, unlike cobra.NoArgs.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return config.Usagef("%s takes no arguments, got %q", cmd.CommandPath(), args)
	}
	return nil
}
