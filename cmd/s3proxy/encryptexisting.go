package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
)

// existingOptions are the flags of encrypt-existing.
type existingOptions struct {
	dryRun, json, onlyWriter bool
	pace                     pace
}

func encryptExistingCommand() *cobra.Command {
	var o existingOptions
	cmd := &cobra.Command{
		Use:   "encrypt-existing s3://bucket[/prefix]...",
		Short: "Encrypt, in place, the objects of a bucket that are not encrypted",
		Long: `Reads each object below the prefixes that is not encrypted, and writes it again under
its own name, encrypted, on the condition that nobody else has written it. Clients may
read and write meanwhile through s3proxy, which needs allow-plaintext-reads for the
bucket until this command says that it can be switched off. A client's write that races
wins. A run that was ended in the middle is simply started again.

Content type, user metadata, tags, ACL, storage class, legal hold, retention and redirect
stay, and so does a checksum of the whole object that the store has, after it was
verified. The ETag stays with --etag md5 where it is the MD5 of the bytes; otherwise
ETag and Last-Modified change. In a versioned bucket the old state remains as a version
that is not encrypted, until a lifecycle rule or somebody removes it: the command counts
these. No copy of the object is made under any other name.`,
		Example: `  s3proxy encrypt-existing --dry-run s3://photos
  s3proxy encrypt-existing --rate 100 s3://photos --upstream https://s3.example.com --kms vault://transit/photos`,
		Args: someArgs("what to encrypt, s3://bucket or s3://bucket/prefix"),
		RunE: func(cmd *cobra.Command, args []string) error {
			places, err := parseEach(args, parsePlace)
			if err != nil {
				return err
			}
			if err := o.pace.check(); err != nil {
				return err
			}
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return encryptExisting(cmd.Context(), c, places, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.PlaintextFlag(f)
	config.WindowFlags(f)
	o.pace.add(f)
	f.BoolVar(&o.onlyWriter, onlyWriterFlag, false, "nobody else writes: go on though the store holds no PUT to its If-Match")
	f.BoolVar(&o.dryRun, "dry-run", false, "look, and change nothing")
	f.BoolVar(&o.json, "json", false, "print JSON, one line a place")
	return cmd
}

func encryptExisting(ctx context.Context, c *config.Config, places []place, o existingOptions, out, errOut io.Writer) (err error) {
	log := newLogger(c, errOut)
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	defer func() { err = errors.Join(err, stores.closeKeyrings(context.WithoutCancel(ctx))) }()
	var failed []error
	for _, at := range places {
		found, err := encryptPlace(ctx, stores, at, o, errOut, log)
		if err != nil {
			failed = append(failed, fmt.Errorf("%v: %w", at, err))
		}
		if found == nil {
			continue
		}
		if err := found.print(out, o); err != nil { // what was done before it ended, too
			return err
		}
		if n := len(found.Failed) + found.Locked + found.Archived; n > 0 {
			failed = append(failed, fmt.Errorf("%v: %d objects could not be encrypted", at, n))
		}
		if n := len(found.Unseen); n > 0 {
			failed = append(failed, fmt.Errorf("%v: %d versions that are not current could not be looked at", at, n))
		}
	}
	return errors.Join(failed...)
}

// encryptedExisting is what encrypt-existing tells of a place; the JSON names are part of
// the interface.
type encryptedExisting struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
	*rewritten
	// OldVersions that are not encrypted.
	OldVersions int               `json:"old-versions-not-encrypted"`
	Unseen      map[string]string `json:"unseen"` // old versions that could not be looked at
	// Done says that nothing is left that a client could read as current.
	Done bool `json:"allow-plaintext-reads-can-be-switched-off"`
}

func encryptPlace(ctx context.Context, s *stores, at place, o existingOptions, errOut io.Writer, log *slog.Logger) (*encryptedExisting, error) {
	b, err := s.bucket(ctx, at.bucket)
	if err != nil {
		return nil, err
	}
	if b.Plain {
		return nil, errors.New("the bucket is configured without encryption: change that first, and restart serve")
	}
	if !b.AllowPlaintextReads && !o.dryRun {
		log.Warn("these settings have no allow-plaintext-reads for the bucket: a proxy that has none either gives its clients nothing that is not encrypted yet", "bucket", at.bucket)
	}
	r := &rewrite{
		bucket: at.bucket, prefix: at.prefix, pace: o.pace, dryRun: o.dryRun, log: log,
		walker:  proxy.Walker{Store: b.Upstream, Place: s.c.State},
		renewer: proxy.NewRenewer(b, s.c.State),
		due:     func(_ context.Context, _ string, m *envelope.Metadata) (bool, error) { return m == nil, nil },
	}
	r.renewer.OnlyWriter = o.onlyWriter
	r.change = func(ctx context.Context, key string, n *proxy.Renewal) error {
		return r.renewer.Encrypt(ctx, at.bucket, key, n)
	}
	found := &encryptedExisting{Bucket: at.bucket, Prefix: at.prefix}
	if found.rewritten, err = r.run(ctx, errOut); err != nil {
		return found, err
	}
	if !o.dryRun {
		if err := r.again(ctx, errOut, found.rewritten); err != nil {
			return found, err
		}
	}
	if err := found.countOld(ctx, r); err != nil {
		return found, err
	}
	found.Done = !o.dryRun && at.prefix == "" && found.Locked == 0 && found.Archived == 0 && len(found.Failed) == 0
	return found, nil
}

// countOld counts the versions that are not current and not encrypted.
func (e *encryptedExisting) countOld(ctx context.Context, r *rewrite) error {
	e.Unseen = map[string]string{}
	var plain atomic.Int64
	old := walk{pace: r.pace, errOut: io.Discard, list: func(ctx context.Context, visit func(proxy.Listed) error) error {
		return r.walker.OldVersions(ctx, e.Bucket, e.Prefix, visit)
	}}
	err := old.each(ctx, func(ctx context.Context, l proxy.Listed) error {
		found, err := object.Inspect(ctx, r.walker.Store, e.Bucket, l.Key, l.Version)
		gone, err := deletedSince(l, err)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case gone:
		case err != nil:
			e.mu.Lock()
			defer e.mu.Unlock()
			if len(e.Unseen) >= maxFailed {
				return fmt.Errorf("%w: %w", errTooMany, err)
			}
			e.Unseen[listedName(l)] = err.Error()
		case found.Metadata == nil:
			plain.Add(1)
		}
		return nil
	})
	e.OldVersions = int(plain.Load())
	return err
}

func (e *encryptedExisting) print(out io.Writer, o existingOptions) error {
	if o.json {
		return json.NewEncoder(out).Encode(e)
	}
	verb := "encrypted"
	if o.dryRun {
		verb = "would be encrypted"
	}
	if err := e.rewritten.print(out, "s3://"+e.Bucket+"/"+e.Prefix, verb); err != nil {
		return err
	}
	if e.OldVersions > 0 {
		fmt.Fprintf(out, "  %d versions that are not current are not encrypted: the store's operator reads them until they are deleted\n", e.OldVersions)
	}
	printReasons(out, "not looked at: ", e.Unseen)
	switch {
	case o.dryRun:
	case e.Done && e.OldVersions == 0 && len(e.Unseen) == 0:
		fmt.Fprintln(out, "  All objects are encrypted: allow-plaintext-reads can be switched off, if all who write do it through s3proxy.")
	case e.Done:
		fmt.Fprintln(out, "  All current objects are encrypted: allow-plaintext-reads can be switched off, if all who write do it through s3proxy, and nobody needs the old versions through it.")
	case e.Prefix != "":
		fmt.Fprintln(out, "  Only below this prefix: a run over the whole bucket says when allow-plaintext-reads can be switched off.")
	default:
		fmt.Fprintln(out, "  allow-plaintext-reads must stay on.")
	}
	return nil
}
