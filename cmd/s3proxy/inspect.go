package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// inspection is what the command prints. The JSON names are part of its interface.
type inspection struct {
	Object       string          `json:"object"`
	ETag         string          `json:"upstream-etag"`
	LastModified string          `json:"last-modified"`
	StoredBytes  int64           `json:"stored-bytes"`
	Encrypted    bool            `json:"encrypted"`
	Legacy       bool            `json:"legacy,omitempty"`
	Format       int             `json:"format,omitempty"`
	Kind         string          `json:"kind,omitempty"`
	KEK          string          `json:"kek,omitempty"`
	Window       string          `json:"window,omitempty"`
	Size         int64           `json:"size"`
	Opens        *bool           `json:"opens,omitempty"`
	Error        string          `json:"error,omitempty"`
	MD5          string          `json:"md5,omitempty"`
	Checksum     string          `json:"checksum,omitempty"`
	Parts        []inspectedPart `json:"parts,omitempty"`
}

type inspectedPart struct {
	Number int   `json:"number"`
	Size   int64 `json:"size"`
}

func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect s3://bucket/key",
		Short: "Show what the store has of an object: format, key, sizes, parts; no secrets",
		Long: `Asks the store itself what it has of an object, without a running proxy. It shows
format, KEK (the key in the KMS) and sizes without a key. If the configured key opens
the object, it also shows parts and checksums; otherwise it says why not, and the exit
code is 1.`,
		Example: `  s3proxy inspect s3://photos/2026/cat.jpg
  s3proxy inspect s3://photos/cat.jpg --json --upstream https://s3.example.com --kms localfile:///etc/s3proxy/keyset.json`,
		Args: oneArgument("s3://bucket/key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, key, err := parseObjectURL(args[0])
			if err != nil {
				return err
			}
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return inspect(cmd.Context(), c, bucket, key, asJSON, cmd.OutOrStdout(), newLogger(c, cmd.ErrOrStderr()))
		},
	}
	config.StoreFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func inspect(ctx context.Context, c *config.Config, bucket, key string, asJSON bool, out io.Writer, log *slog.Logger) error {
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	store, err := stores.client(ctx, c.Buckets[bucket].Upstream)
	if err != nil {
		return err
	}
	object, err := object.Inspect(ctx, store, bucket, key, "")
	if err != nil {
		return fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	shown := inspection{
		Object: "s3://" + bucket + "/" + key, ETag: object.ETag, LastModified: object.LastModified,
		StoredBytes: object.StoredBytes, Size: object.Size, Encrypted: object.Metadata != nil, Legacy: object.Legacy,
	}
	var opening error
	if m := object.Metadata; m != nil {
		shown.Format, shown.Kind, shown.KEK, shown.Window = envelope.Format, m.Kind.String(), m.KEK, "0"
		if m.Window != nil {
			shown.Window = hex.EncodeToString(m.WindowID())
		}
		opening = shown.open(ctx, stores, object)
	}
	if object.Legacy {
		opening = shown.openOld(ctx, stores, object)
	}
	if asJSON {
		if err := json.NewEncoder(out).Encode(shown); err != nil {
			return err
		}
	} else if err := shown.print(out); err != nil {
		return err
	}
	if opening != nil {
		return fmt.Errorf("s3://%s/%s does not open: %w", bucket, key, opening)
	}
	return nil
}

// open adds what only the object's key reveals.
func (i *inspection) open(ctx context.Context, stores *stores, object *object.Inspection) error {
	opens := false
	i.Opens = &opens
	facts, trailer, err := func() (envelope.Facts, *envelope.Trailer, error) {
		bucket, err := stores.bucket(ctx, object.Bucket)
		if err != nil {
			return envelope.Facts{}, nil, err
		}
		return object.Contents(ctx, bucket)
	}()
	if err != nil {
		i.Error = err.Error()
		return err
	}
	opens = true
	if trailer != nil {
		facts = trailer.Facts
		for _, p := range trailer.Parts {
			i.Parts = append(i.Parts, inspectedPart{p.Number, p.Size})
		}
	}
	i.MD5 = hex.EncodeToString(facts.MD5)
	if facts.Checksum.Algorithm != envelope.NoChecksum {
		i.Checksum = facts.Checksum.Algorithm.String() + " " + base64.StdEncoding.EncodeToString(facts.Checksum.Value)
	}
	return nil
}

// openOld adds what the header of an object of the older s3proxy says.
func (i *inspection) openOld(ctx context.Context, stores *stores, object *object.Inspection) error {
	opens := false
	i.Opens = &opens
	bucket, err := stores.bucket(ctx, object.Bucket)
	if err == nil {
		var old *legacy.Object
		if old, err = object.OldContents(bucket); err == nil {
			opens, i.MD5 = true, hex.EncodeToString(old.MD5)
			return nil
		}
	}
	i.Error = err.Error()
	return err
}

func (i *inspection) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s:\t%v\n", name, value) }
	row("Object", i.Object)
	row("Upstream ETag", i.ETag)
	row("Last modified", i.LastModified)
	row("Stored bytes", i.StoredBytes)
	if i.Legacy {
		row("Encrypted", "by the older s3proxy (AES-CFB): not authenticated, anybody who can write to the store can change it")
		row("Size", i.Size)
		i.printOpening(row)
		return w.Flush()
	}
	if !i.Encrypted {
		row("Encrypted", "no: s3proxy did not write this object")
		return w.Flush()
	}
	row("Format", i.Format)
	row("Kind", i.Kind)
	row("KEK", i.KEK)
	window := i.Window
	if window == "0" {
		window += " (no window key)"
	}
	row("Window", window)
	row("Size", i.Size)
	i.printOpening(row)
	if i.Checksum != "" {
		row("Checksum", i.Checksum)
	}
	for _, p := range i.Parts {
		row("Part", fmt.Sprintf("%d, %d bytes", p.Number, p.Size))
	}
	return w.Flush()
}

// printOpening says whether the keys open the object, and its MD5 where they do.
func (i *inspection) printOpening(row func(name string, value any)) {
	if i.Error != "" {
		row("Opens", "no: "+i.Error)
		return
	}
	row("Opens", "yes")
	if i.MD5 != "" {
		row("MD5", i.MD5)
	}
}
