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

func keysPassphraseCommand() *cobra.Command {
	var newFile string
	var remove bool
	cmd := &cobra.Command{
		Use:   "passphrase",
		Short: "Encrypt a keyset file under a passphrase, or change or remove it",
		Long: `Encrypts a keyset file under a passphrase (Argon2id, AES-256-GCM), so that the file
alone is of no use to a thief. Every proxy and command then needs the passphrase in
` + localfile.EnvPassphrase + `, or the name of a file with it in
` + localfile.EnvPassphraseFile + `.

The command takes the present passphrase from there. The new one comes from --new-file,
or, if the keyset is not encrypted yet, from those variables too; otherwise the command
asks for it on the terminal. Earlier copies and backups stay as they are.`,
		Example: `  s3proxy keys passphrase --kms localfile:///etc/s3proxy/keyset.json --new-file /run/secrets/passphrase
  s3proxy keys passphrase --remove`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if remove && newFile != "" {
				return config.Usagef("use either --remove or --new-file, not both")
			}
			path, err := keysetFile(cmd)
			if err != nil {
				return err
			}
			if err := changePassphrase(cmd.Context(), path, newFile, remove, cmd.ErrOrStderr()); err != nil {
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

// changePassphrase encrypts a keyset under a new passphrase, or leaves it in clear.
func changePassphrase(ctx context.Context, path, newFile string, remove bool, prompt io.Writer) error {
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
		// Refuse a wrong passphrase before asking for a new one.
		if _, err := localfile.List(path, present...); err != nil {
			return err
		}
	}
	var fresh []byte
	if !remove {
		if fresh, err = newPassphrase(newFile, encrypted, prompt); err != nil {
			return err
		}
		defer clear(fresh)
	}
	return localfile.SetPassphrase(ctx, path, fresh, present...)
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
		return nil, config.Usagef("there is no terminal to ask for the new passphrase: name a file with --new-file")
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
