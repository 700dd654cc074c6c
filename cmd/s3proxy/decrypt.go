package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy/object"
)

func decryptCommand() *cobra.Command {
	o := &offlineFlags{}
	var version string
	cmd := &cobra.Command{
		Use:   "decrypt s3://bucket/key|FILE -o FILE",
		Short: "Decrypt an object without a running proxy: the store and the key are enough",
		Long: `Decrypts an object in the store, or raw bytes that any tool has copied from a store,
with their metadata. The output file appears only once every byte of it has been
authenticated; what goes to standard output (-o -) is complete only if the exit code
is 0. A damaged object is refused, and the error names the part and the segment (64
KiB of plaintext).

The metadata of raw bytes is what "aws s3api get-object" or "head-object" prints,
or a JSON object of the names and values of the user metadata. Give the bucket and
key that the object was written under. With --upstream, decrypt looks there for
window records: copies of wrapped keys, which "keys rotate" renews. Without it, the
configured key must still open what is in the metadata.`,
		Example: `  s3proxy decrypt s3://photos/2026/cat.jpg -o cat.jpg --upstream https://s3.example.com --kms localfile:///etc/s3proxy/keyset.json
  s3proxy decrypt s3://photos/cat.jpg --version-id 3HL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY -o -
  aws s3api get-object --bucket photos --key cat.jpg cat.raw >cat.json
  s3proxy decrypt cat.raw --metadata cat.json --bucket photos --key cat.jpg -o cat.jpg`,
		Args: oneArgument("s3://bucket/key, or a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			log := newLogger(c, cmd.ErrOrStderr())
			if o.output == "" {
				return config.Usagef("--output is missing")
			}
			if !strings.HasPrefix(args[0], "s3://") {
				if version != "" {
					return config.Usagef("--version-id is only for an object in a store")
				}
				if err := o.raw(); err != nil {
					return err
				}
				return decryptRaw(cmd.Context(), c, o, args[0], cmd.ErrOrStderr(), log)
			}
			bucket, key, err := parseObjectURL(args[0])
			if err != nil {
				return err
			}
			if o.metadata != "" || o.bucket != "" || o.key != "" || o.floor != "" {
				return config.Usagef("--metadata, --bucket, --key and --floor are only for raw bytes in a file")
			}
			return decryptStored(cmd.Context(), c, o, bucket, key, version, cmd.ErrOrStderr(), log)
		},
	}
	config.StoreFlags(cmd.Flags())
	o.add(cmd)
	cmd.Flags().StringVar(&version, "version-id", "", "`version` of the object (default: the current one)")
	return cmd
}

func decryptStored(ctx context.Context, c *config.Config, o *offlineFlags, bucket, key, version string, errOut io.Writer, log *slog.Logger) error {
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	b, err := stores.bucket(ctx, bucket)
	if err != nil {
		return err
	}
	object, err := object.OpenStored(ctx, b, bucket, key, version)
	if err != nil {
		return fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	return writePlain(object, o, "s3://"+bucket+"/"+key, errOut, log)
}

func decryptRaw(ctx context.Context, c *config.Config, o *offlineFlags, path string, errOut io.Writer, log *slog.Logger) error {
	metadata, err := readMetadata(o.metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", o.metadata, err)
	}
	f, size, err := openInput(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := o.stores(c, log).keysOnly(ctx, o.bucket)
	if err != nil {
		return err
	}
	object, err := object.OpenRaw(ctx, b, o.bucket, o.key, metadata, f, size)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writePlain(object, o, path, errOut, log)
}

// writePlain writes the output file and closes the object.
func writePlain(object *object.Opened, o *offlineFlags, name string, errOut io.Writer, log *slog.Logger) error {
	defer object.Close()
	if object.Old {
		log.Warn("the object is of the older s3proxy: the MD5 in its header is compared, nothing authenticates it", "object", name)
	}
	out, err := createOutput(o.output, o.force)
	if err != nil {
		return err
	}
	defer out.discard()
	bar := progress(object.Size, errOut)
	n, err := object.WriteTo(bar.NewProxyWriter(out.File))
	bar.Finish()
	if err == nil && n != object.Size {
		err = fmt.Errorf("got %d of %d bytes", n, object.Size)
	}
	if err != nil {
		return fmt.Errorf("%s does not decrypt: %w", name, err)
	}
	return out.finish()
}

// readMetadata reads user metadata from what aws s3api prints of an object, or from a flat
// JSON object, and gives it as the headers that a store sends.
func readMetadata(path string) (http.Header, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var printed struct {
		Metadata    map[string]string
		MissingMeta int
	}
	if err := json.Unmarshal(raw, &printed); err != nil || printed.Metadata == nil {
		if err := json.Unmarshal(raw, &printed.Metadata); err != nil {
			return nil, fmt.Errorf("this is neither metadata as aws s3api prints it nor a JSON object of names and values: %w", err)
		}
	}
	h := http.Header{}
	for name, value := range printed.Metadata {
		if !strings.HasPrefix(strings.ToLower(name), "x-amz-meta-") {
			name = "x-amz-meta-" + name
		}
		h.Add(name, value)
	}
	if printed.MissingMeta != 0 {
		h.Set("X-Amz-Missing-Meta", fmt.Sprint(printed.MissingMeta))
	}
	return h, nil
}
