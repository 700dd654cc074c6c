package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

// fromEnvironment is how every command learns a keyset file's passphrase.
var fromEnvironment = localfile.WithPassphrase(localfile.PassphraseFromEnvironment)

// keyfileCommands change a keyset file. Every one replaces it as a whole; running
// proxies see it within a second of use.
func keyfileCommands() []*cobra.Command {
	return []*cobra.Command{
		keysAddCommand(),
		versionCommandOf("promote", "Let a version of a keyset wrap from now on", `Makes a version the primary: it wraps from now on, and the others still open what
they wrapped. Where replicas have copies of the file, give all of them one with
the new version first (s3proxy keys add).`, localfile.Promote),
		versionCommandOf("disable", "Make a version of a keyset unusable, for now", `Nothing that the version wrapped opens by it any more; s3proxy keys enable undoes
that. To see what would happen if it were destroyed. The primary is refused.`, localfile.Disable),
		versionCommandOf("enable", "Undo keys disable", "Makes a disabled version usable again.", localfile.Enable),
		keysDestroyCommand(),
		keysPassphraseCommand(),
	}
}

func keysAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add a version to a keyset that wraps nothing yet",
		Long: `Adds a new key to a keyset file and leaves the primary as it is. For replicas that
have copies of the file: add, copy the file to all of them, then s3proxy keys
promote, and copy it again. Where they share one file, keys rotate does it all.`,
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
	cmd := versionCommandOf("destroy", "Take a version out of a keyset for good", `What only this version can open is lost: ask s3proxy keys status first, and disable
the version for a while. The primary is refused. Backups of the file still hold
the version until they are destroyed too.`, localfile.Destroy)
	cmd.Example += " --yes"
	var sure bool
	cmd.Flags().BoolVar(&sure, "yes", false, "really")
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
