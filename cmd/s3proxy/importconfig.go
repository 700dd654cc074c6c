package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/oldconfig"
	"github.com/s3proxy/s3proxy/kms/localfile"
)

func importConfigCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "import-config OLD.cfg --out DIR",
		Short: "Turn the JSON configuration of the older s3proxy into files for serve",
		Long: `Reads the configuration of the older s3proxy (JSON with Server and Buckets) and writes
DIR/config.yaml, a new keyset, and a file for each secret beside it, of mode 0600. Then
"s3proxy serve --config DIR/config.yaml" serves the old buckets on the old address, each
with its own credentials at the store: objects of the older program stay readable, and
what is written is encrypted under the new keyset. It contacts nobody.

A field that the older program does not have is a mistake, and named with its place; the
older program has ignored it. No secret is shown. Files that exist are never replaced, and
no link is followed.`,
		Example: `  s3proxy import-config ~/.s3proxy.cfg --out /etc/s3proxy
  s3proxy serve --config /etc/s3proxy/config.yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || dir == "" {
				return config.Usagef("import-config takes the old configuration file, and --out DIR")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return importConfig(args[0], dir, cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&dir, "out", "", "`folder` for the new files; made with mode 0700 if there is none")
	return cmd
}

func importConfig(path, dir string, out io.Writer) error {
	raw, err := readOld(path)
	if err != nil {
		return err
	}
	old, err := oldconfig.Read(raw)
	clear(raw)
	if err != nil {
		return config.Usagef("%s: %w", path, err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	made := old.Translate(dir, config.OnLoopback)
	folder, err := privateFolder(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := writeImported(folder, dir, made); err != nil {
		return err
	}
	at := filepath.Join(dir, oldconfig.ConfigName)
	fmt.Fprintf(out, "Made %s, a keyset and %d files with secrets beside it.\n", at, len(made.Secrets))
	for _, note := range made.Notes {
		fmt.Fprintln(out, "-", note)
	}
	fmt.Fprintf(out, "Back up %s: without it, what is encrypted from now on is lost. End the older program, and start\n  s3proxy serve --config %s\n", filepath.Join(dir, oldconfig.KeysetName), shellQuote(at))
	return nil
}

func readOld(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, config.UsageError{Err: err}
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, oldconfig.MaxBytes+1))
	if err == nil && len(raw) > oldconfig.MaxBytes {
		err = fmt.Errorf("%s has more than %d bytes", path, oldconfig.MaxBytes)
	}
	if err != nil {
		return nil, config.UsageError{Err: err}
	}
	return raw, nil
}

// privateFolder opens a folder that nobody else can use, and makes it if there is none.
func privateFolder(dir string) (*os.Root, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, config.Usagef("%s is not a folder", dir)
	case info.Mode().Perm()&0o077 != 0:
		return nil, config.Usagef("%s has mode %04o, and secrets are to be in it: chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return os.OpenRoot(dir)
}

// writeImported makes all files or, if one of them exists, none. The configuration comes last.
func writeImported(folder *os.Root, dir string, made *oldconfig.New) (err error) {
	const keysetHistory = oldconfig.KeysetName + ".history" // made with the keyset
	names := append(slices.Sorted(maps.Keys(made.Secrets)), keysetHistory, oldconfig.KeysetName, oldconfig.ConfigName)
	for _, name := range slices.Backward(names) {
		if _, err := folder.Lstat(name); err == nil {
			return config.Usagef("%s exists already, and is never replaced", filepath.Join(dir, name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	var done []string
	defer func() {
		if err != nil {
			for _, name := range done {
				err = errors.Join(err, folder.Remove(name))
			}
		}
	}()
	for _, name := range names {
		switch name {
		case keysetHistory:
			continue
		case oldconfig.KeysetName:
			err = localfile.Create(filepath.Join(dir, name), fromEnvironment)
		case oldconfig.ConfigName:
			err = writePrivate(folder, name, made.Config)
		default:
			err = writePrivate(folder, name, []byte(made.Secrets[name]))
		}
		if err != nil {
			return err
		}
		if done = append(done, name); name == oldconfig.KeysetName {
			if _, err := folder.Lstat(keysetHistory); err == nil {
				done = append(done, keysetHistory)
			}
		}
	}
	return nil
}

// writePrivate makes a file that only its owner can read.
func writePrivate(folder *os.Root, name string, content []byte) error {
	f, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}
