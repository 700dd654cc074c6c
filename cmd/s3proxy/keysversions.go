package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

// fromEnvironment makes a command take a keyset file's passphrase from the environment.
var fromEnvironment = localfile.WithPassphrase(localfile.PassphraseFromEnvironment)

// keyfileCommands are the commands that change a keyset file. Each replaces it as a whole;
// running proxies see the change within a second of use.
func keyfileCommands() []*cobra.Command {
	return []*cobra.Command{
		keysAddCommand(),
		versionCommandOf("promote", "Make a version of a keyset the one that wraps", `Makes a version the primary: it wraps from now on, and the others still open what
they wrapped. If replicas have copies of the file, first give all of them one with
the new version (s3proxy keys add).`, localfile.Promote),
		versionCommandOf("disable", "Make a version of a keyset unusable, for now", `Use it to see what would happen if the version were destroyed: what the version
wrapped no longer opens by it. s3proxy keys enable undoes this. The primary is
refused.`, localfile.Disable),
		versionCommandOf("enable", "Undo keys disable", "Makes a disabled version usable again.", localfile.Enable),
		keysDestroyCommand(),
		keysPassphraseCommand(),
	}
}

func keysAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add a version to a keyset without using it yet",
		Long: `Adds a new key to a keyset file and leaves the primary as it is. If replicas have
copies of the file, add a key, copy the file to all of them, then run s3proxy keys
promote, and copy it again. If they share one file, keys rotate does it all.`,
		Example: `  s3proxy keys add --kms localfile:///etc/s3proxy/keyset.json`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := keysetFile(cmd)
			if err != nil {
				return err
			}
			version, err := localfile.Add(cmd.Context(), path, fromEnvironment)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Added version %s to %s. Back the file up.\n", version, path)
			return nil
		},
	}
	config.StoreFlags(cmd.Flags())
	return cmd
}

// versionCommandOf is a command that does one thing to one version of a keyset.
func versionCommandOf(name, short, long string, do func(ctx context.Context, path, version string, given ...localfile.Option) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:     name + " VERSION",
		Short:   short,
		Long:    long,
		Example: "  s3proxy keys " + name + " 1234567890 --kms localfile:///etc/s3proxy/keyset.json",
		Args:    oneVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := keysetFile(cmd)
			if err != nil {
				return err
			}
			if err := do(cmd.Context(), path, args[0], fromEnvironment); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Done: %s version %s of %s.\n", name, args[0], path)
			return nil
		},
	}
	config.StoreFlags(cmd.Flags())
	return cmd
}

func keysDestroyCommand() *cobra.Command {
	cmd := versionCommandOf("destroy", "Remove a version from a keyset for good", `What only this version can open is lost: ask s3proxy keys status first, and disable
the version for a while. The primary is refused. Backups of the file still hold
the version until you destroy them too.`, localfile.Destroy)
	cmd.Example += " --yes"
	var sure bool
	cmd.Flags().BoolVar(&sure, "yes", false, "confirm: what only this version can open is lost")
	do := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !sure {
			return config.Usagef("destroying version %s makes everything that only it can open unreadable: pass --yes to confirm", args[0])
		}
		return do(cmd, args)
	}
	return cmd
}

func oneVersion(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return config.Usagef("%s takes one version, as s3proxy keys list shows it; got %q", cmd.CommandPath(), args)
	}
	return nil
}
