package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

func keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list and change the keys that wrap (encrypt) all others",
		Example: `  s3proxy keys create --kms localfile:///etc/s3proxy/keyset.json
  s3proxy keys list`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(keysCreateCommand(), keysListCommand(), keysRotateCommand(), keysRekeyCommand(), keysStatusCommand(), keysVerifyCommand())
	cmd.AddCommand(keyfileCommands()...)
	return cmd
}

func keysCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a new keyset file",
		Long: `Makes a keyset with one AES-256-GCM key in a new file that only its owner can
read. It never replaces a file. Back the file up: without it, every object
that was encrypted under it is lost. If ` + localfile.EnvPassphrase + `
holds a passphrase, or ` + localfile.EnvPassphraseFile + ` names a
file with one, the keyset is encrypted under it.`,
		Example: `  s3proxy keys create                                                # in the data folder
  s3proxy keys create --kms localfile:///etc/s3proxy/keyset.json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := keysetFile(cmd)
			if err != nil {
				return err
			}
			if err := ensureDir(filepath.Dir(path)); err != nil {
				return err
			}
			if err := localfile.Create(path, fromEnvironment); errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s exists already, and is never replaced", path)
			} else if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Made %s. Back it up: without it, everything encrypted under it is lost.\n", path)
			return nil
		},
	}
	config.StoreFlags(cmd.Flags())
	return cmd
}

func keysListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys of a keyset, without their material",
		Example: `  s3proxy keys list
  s3proxy keys list --json --kms localfile:///etc/s3proxy/keyset.json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := keysetFile(cmd)
			if err != nil {
				return err
			}
			keys, err := localfile.List(path, fromEnvironment)
			if err != nil {
				return err
			}
			if asJSON {
				for _, k := range keys {
					if err := json.NewEncoder(cmd.OutOrStdout()).Encode(k); err != nil {
						return err
					}
				}
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "VERSION\tTYPE\tSTATUS\tPRIMARY\tMADE")
			for _, k := range keys {
				made := "unknown"
				if !k.Made.IsZero() {
					made = k.Made.Format(time.RFC3339)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%t\t%s\n", k.Version, k.Type, k.Status, k.Primary, made)
			}
			return w.Flush()
		},
	}
	config.StoreFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one line for each version")
	return cmd
}

// keysetFile gives the keyset file that the command's settings name.
func keysetFile(cmd *cobra.Command) (string, error) {
	c, err := config.Load(cmd.Flags())
	if err != nil {
		return "", err
	}
	if c.KMS == "" {
		return c.KeysetPath(), c.NeedDataDir()
	}
	u, err := url.Parse(c.KMS)
	if err != nil {
		return "", config.Usagef("kms: %w", err)
	}
	if u.Scheme != localfile.Scheme {
		return "", config.Usagef("kms: this command is for keyset files; that KMS makes and lists the keys of %s itself", c.KMS)
	}
	path, err := localfile.Path(u)
	if err != nil {
		return "", config.UsageError{Err: err}
	}
	return path, nil
}
