package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

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
			return config.Usagef("what only version %s can open will be lost: say --yes", args[0])
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

func keysPassphraseCommand() *cobra.Command {
	var newFile string
	var remove bool
	cmd := &cobra.Command{
		Use:   "passphrase",
		Short: "Encrypt a keyset file under a passphrase, or change or remove it",
		Long: `A keyset file under a passphrase (Argon2id, AES-256-GCM) is of no use to who has
stolen it alone. Every proxy and command then needs the passphrase in
` + localfile.EnvPassphrase + `, or a file with it in
` + localfile.EnvPassphraseFile + `.

The present passphrase comes from there. The new one comes from --new-file, from
there too if the keyset is not encrypted yet, or is asked for on the terminal.
Copies and backups made before stay as they are.`,
		Example: `  s3proxy keys passphrase --kms localfile:///etc/s3proxy/keyset.json --new-file /run/secrets/passphrase
  s3proxy keys passphrase --remove`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if remove && newFile != "" {
				return config.Usagef("--remove and --new-file exclude each other")
			}
			path, err := keysetFile(cmd)
			if err != nil {
				return err
			}
			encrypted, err := localfile.Encrypted(path)
			if err != nil {
				return err
			}
			if remove && !encrypted {
				return fmt.Errorf("%s is not encrypted", path)
			}
			var present []localfile.Option
			if encrypted {
				present = append(present, fromEnvironment)
				// A wrong one is told before a new one is asked for.
				if _, err := localfile.List(path, present...); err != nil {
					return err
				}
			}
			var fresh []byte
			if !remove {
				if fresh, err = newPassphrase(newFile, encrypted, cmd.ErrOrStderr()); err != nil {
					return err
				}
				defer clear(fresh)
			}
			if err := localfile.SetPassphrase(cmd.Context(), path, fresh, present...); err != nil {
				return err
			}
			done := "is encrypted under the new passphrase: restart the proxies with it"
			if remove {
				done = "is in clear now: unset the passphrase and restart the proxies"
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s.\n", path, done)
			return nil
		},
	}
	config.StoreFlags(cmd.Flags())
	cmd.Flags().StringVar(&newFile, "new-file", "", "`file` with the new passphrase")
	cmd.Flags().BoolVar(&remove, "remove", false, "leave the keyset in clear")
	return cmd
}

// newPassphrase takes the new passphrase from file if one is named, from the
// environment if that is free for it, else from the terminal.
func newPassphrase(file string, encrypted bool, prompt io.Writer) ([]byte, error) {
	if file != "" {
		return localfile.ReadPassphrase(file)
	}
	if !encrypted {
		if p, err := localfile.PassphraseFromEnvironment(); p != nil || err != nil {
			return p, err
		}
	}
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return nil, config.Usagef("no terminal to ask for the new passphrase on: name a file with --new-file")
	}
	ask := func(text string) ([]byte, error) {
		fmt.Fprint(prompt, text)
		defer fmt.Fprintln(prompt)
		return term.ReadPassword(terminal)
	}
	first, err := ask("New passphrase: ")
	if err != nil {
		return nil, err
	}
	second, err := ask("Once more: ")
	defer clear(second)
	switch {
	case err != nil:
	case len(first) == 0:
		err = errors.New("the passphrase is empty")
	case !bytes.Equal(first, second):
		err = errors.New("the two passphrases differ")
	default:
		return first, nil
	}
	clear(first)
	return nil, err
}
