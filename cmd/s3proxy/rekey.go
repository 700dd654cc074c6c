package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// rekeyOptions are the flags of keys rekey.
type rekeyOptions struct {
	newVersion, dryRun, json, onlyWriter bool
	discard, leaveBehind, keyIsNew       bool
	resume                               string
	stolen                               []string
	pace                                 pace
	settle                               time.Duration
}

func keysRekeyCommand() *cobra.Command {
	var o rekeyOptions
	cmd := &cobra.Command{
		Use:   "rekey s3://bucket...",
		Short: "After the theft of a key: encrypt every object of a bucket anew, and refuse what is from before",
		Long: `Encrypts each object of the buckets again, in place, under a new key of its own in
new windows, on the condition that nobody else has written it. Clients may read and
write meanwhile. Then it closes the bucket's floor: nothing that was encrypted before is
read any more, whoever made it and whatever the store has kept of it.

It is for theft; for age there is "keys rotate", which keeps the window keys that a thief
knows. It needs a key that the thief does not have: a new version (--new-version), or a
new key in --kms, with the old one in --kms-read until the end. All running proxies must
write under it before this begins.

Parts, checksums, MD5, content type, user metadata, tags, ACL, storage class, legal hold,
retention and redirect stay. Opaque ETags and Last-Modified change, and in a versioned
bucket each object gets a new version. What cannot be encrypted again (old versions, locked
and archived objects, uploads in progress) is counted and named, and the floor stays open
while there is any: run it again later, or say --leave-behind, and it becomes unreadable.
A run that was ended goes on with --resume and the floor's id, which it has printed.`,
		Example: `  s3proxy keys rekey --new-version s3://photos --upstream https://s3.example.com --kms vault://transit/photos
  s3proxy keys rekey --resume 5c0f9e1d6a7b48c2930415263748596a s3://photos
  s3proxy keys rekey --dry-run --json s3://photos`,
		Args: someArgs("the buckets, s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			buckets, err := parseEach(args, parseBucketURL)
			if err != nil {
				return err
			}
			if err := o.check(len(buckets)); err != nil {
				return err
			}
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return rekey(cmd.Context(), c, buckets, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.StoreFlags(cmd.Flags())
	f := cmd.Flags()
	config.WindowFlags(f)
	o.pace.add(f)
	f.BoolVar(&o.newVersion, "new-version", false, "make a new version of the key first (local key file, Vault)")
	f.StringVar(&o.resume, "resume", "", "go on with the open floor of this `id`, of one bucket")
	f.BoolVar(&o.discard, "discard-floor", false, "replace an open floor that no run of yours has begun; what was encrypted under it becomes unreadable")
	f.StringArrayVar(&o.stolen, "stolen", nil, "refuse this too, though nothing in the bucket names it (after a rotation): a `VERSION` of the bucket's key, or a URI with #version, as keys status shows it")
	f.BoolVar(&o.keyIsNew, "key-is-new", false, "the key of --kms was made after the theft: begin though objects name it, which proxies have written since")
	f.BoolVar(&o.leaveBehind, "leave-behind", false, "close the floor though something is left that cannot be encrypted again: it becomes unreadable")
	f.BoolVar(&o.onlyWriter, onlyWriterFlag, false, "nobody else writes: go on though the store holds no PUT to its If-Match")
	f.BoolVar(&o.dryRun, "dry-run", false, "look, and change nothing")
	f.DurationVar(&o.settle, "settle", 15*time.Second, "how long running proxies may take to see the new floor; at least 10s, or 0 where none runs")
	f.BoolVar(&o.json, "json", false, "print JSON, one line a bucket")
	return cmd
}

func (o *rekeyOptions) check(buckets int) error {
	switch {
	case o.resume != "" && (buckets > 1 || o.newVersion || o.discard):
		return config.Usagef("resume goes with one bucket, and neither with new-version nor with discard-floor")
	case len(o.stolen) > 0 && (o.resume != "" || o.dryRun):
		return config.Usagef("stolen goes with the begin of a rekey: its floor says what it refuses")
	case o.keyIsNew && o.newVersion:
		return config.Usagef("key-is-new and new-version are two ways to a key that the thief does not have")
	case o.dryRun && (o.newVersion || o.discard || o.leaveBehind || o.resume != ""):
		return config.Usagef("dry-run changes nothing: it goes with none of new-version, resume, discard-floor, leave-behind")
	case o.settle < 0 || o.settle > 0 && o.settle < 10*time.Second:
		return config.Usagef("settle is at least 10s, or 0 where no proxy runs")
	}
	return o.pace.check()
}

// rekeyed is what keys rekey tells of a bucket; the JSON names are part of the interface.
type rekeyed struct {
	Bucket string `json:"bucket"`
	KEK    string `json:"kek"`
	Floor  string `json:"floor"`
	Closed bool   `json:"closed"`
	*rewritten
	// What cannot be encrypted again in place, and is below the floor.
	OldVersions int               `json:"old-versions"`
	Uploads     int               `json:"uploads"`
	Records     int               `json:"records-removed"`  // of windows from before
	First       []string          `json:"first,omitempty"`  // some of these, by name
	Unseen      map[string]string `json:"unseen,omitempty"` // what could not be looked at, and why
}

// left counts what is below the floor still.
func (r *rekeyed) left() int {
	return len(r.Failed) + r.Locked + r.Archived + r.OldVersions + r.Uploads + len(r.Unseen)
}

func rekey(ctx context.Context, c *config.Config, buckets []string, o rekeyOptions, out, errOut io.Writer) (err error) {
	log := newLogger(c, errOut)
	stores, err := openStores(ctx, c, log)
	if err != nil {
		return err
	}
	defer stores.close()
	defer func() { err = errors.Join(err, stores.closeKeyrings(context.WithoutCancel(ctx))) }()
	runs := make([]*rekeying, len(buckets))
	for i, bucket := range buckets { // before there is a new version for nothing
		if runs[i], err = newRekeying(ctx, stores, bucket, o, out, errOut, log); err != nil {
			return fmt.Errorf("s3://%s: %w", bucket, err)
		}
	}
	if o.newVersion {
		places := make([]place, len(buckets))
		for i, bucket := range buckets {
			places[i] = place{bucket: bucket}
		}
		if err := newVersions(ctx, c, stores, places, out, o.json); err != nil {
			return err
		}
	}
	var failed []error
	for _, r := range runs {
		err := r.run(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("s3://%s: %w", r.found.Bucket, err))
		}
		if r.found.Floor == "" && !o.dryRun {
			continue // nothing was done
		}
		if err := r.print(); err != nil {
			return err
		}
		if n := r.found.left(); err == nil && n > 0 && !r.found.Closed {
			failed = append(failed, fmt.Errorf("s3://%s: %d are left under old keys", r.found.Bucket, n))
		}
	}
	return errors.Join(failed...)
}

// rekeying is the work on one bucket.
type rekeying struct {
	rekeyOptions
	ring    *kms.Keyring
	records state.Records
	origin  string // the name that the keys are bound to
	refused []string
	rewrite *rewrite
	found   *rekeyed
	out     io.Writer
	errOut  io.Writer
}

// newRekeying looks at the bucket, and at the KEKs that a thief may have.
func newRekeying(ctx context.Context, s *stores, bucket string, o rekeyOptions, out, errOut io.Writer, log *slog.Logger) (*rekeying, error) {
	if err := s.reach(ctx, bucket); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if b.Plain {
		return nil, errors.New("the bucket is configured without encryption")
	}
	ring, records, err := s.keyring(ctx, bucket)
	if err != nil {
		return nil, err
	}
	r := &rekeying{
		rekeyOptions: o, ring: ring, records: records, origin: cmp.Or(b.Origin, bucket), out: out, errOut: errOut,
		found: &rekeyed{Bucket: bucket, rewritten: &rewritten{Failed: map[string]string{}}, Unseen: map[string]string{}},
		rewrite: &rewrite{
			bucket: bucket, pace: o.pace, dryRun: o.dryRun, log: log,
			walker:  proxy.Walker{Store: b.Upstream, Place: s.c.State},
			renewer: proxy.NewRenewer(b, s.c.State),
		},
	}
	r.rewrite.renewer.OnlyWriter = o.onlyWriter
	r.rewrite.due = func(ctx context.Context, key string, m *envelope.Metadata) (bool, error) {
		return r.below(ctx, key, "", m)
	}
	r.rewrite.change = func(ctx context.Context, key string, n *proxy.Renewal) error {
		return r.rewrite.renewer.Rekey(ctx, bucket, key, n)
	}
	if o.resume == "" && !o.dryRun { // else nothing begins: the floor says what it refuses
		if r.refused, err = r.stolenKEKs(ctx); err != nil {
			return nil, err
		}
		named, err := namedStolen(ctx, s, bucket, o.stolen)
		if err != nil {
			return nil, err
		}
		r.refused = append(r.refused, named...)
	}
	return r, nil
}

// below tells whether what carries this metadata is to be encrypted again.
func (r *rekeying) below(ctx context.Context, key, upload string, m *envelope.Metadata) (bool, error) {
	if m == nil {
		return false, nil
	}
	if r.found.Floor == "" { // a dry run: everything is
		return true, nil
	}
	dek, err := r.ring.OpenKey(ctx, kms.Name{Bucket: r.origin, Key: key, Kind: m.Kind, UploadID: upload}, m)
	if err != nil {
		return false, err
	}
	defer dek.Destroy()
	current, err := r.ring.IsCurrent(ctx, r.origin, dek)
	return !current, err
}

func (r *rekeying) run(ctx context.Context) (err error) {
	if r.dryRun {
		r.found.rewritten, err = r.rewrite.run(ctx, r.errOut)
		return err
	}
	floor, err := r.ring.OpenFloor(ctx, r.origin, r.refused, r.resume, r.discard)
	if err != nil {
		return err
	}
	r.found.Floor, r.found.KEK = floor.ID, strings.Join(floor.KEKs, " ")
	if !r.json {
		fmt.Fprintf(r.out, "s3://%s: the floor %s is open. A run that is ended goes on with --resume %s\n", r.found.Bucket, floor.ID, floor.ID)
	}
	if err := wait(ctx, r.settle); err != nil { // all proxies write under it now
		return err
	}
	if r.rewrite.uploading, err = uploading(ctx, r.rewrite.walker, r.found.Bucket, ""); err != nil {
		return err
	}
	if r.found.rewritten, err = r.rewrite.run(ctx, r.errOut); err != nil {
		return err
	}
	// An upload from before may become an object as long as it is there: first see that there
	// is none, then look again at what was written meanwhile.
	if err := r.countUploads(ctx); err != nil {
		return err
	}
	if err := r.rewrite.again(ctx, r.errOut, r.found.rewritten); err != nil {
		return err
	}
	if err := r.countOldVersions(ctx); err != nil {
		return err
	}
	if r.found.left() > 0 && !r.leaveBehind {
		return nil
	}
	if err := r.ring.CloseFloor(ctx, r.origin, floor.ID); err != nil {
		return err
	}
	r.found.Closed = true
	return r.removeRecords(ctx, floor.Refused)
}

// removeRecords removes the window records that old KEKs wrap: nothing under a closed floor is
// of such a window, and no rotation could wrap them anew once those KEKs are gone.
func (r *rekeying) removeRecords(ctx context.Context, refused []string) error {
	return eachRecordKEK(ctx, r.records, r.origin, func(id, kek string) error {
		if !slices.Contains(refused, kek) {
			return nil
		}
		err := r.records.Remove(ctx, r.origin, id)
		switch {
		case errors.Is(err, state.ErrLocked): // for a minute; gc --records finds it
			return nil
		case err == nil:
			r.found.Records++
		}
		return err
	})
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// countUploads counts the uploads in progress that will become objects below the floor.
func (r *rekeying) countUploads(ctx context.Context) error {
	r.found.Uploads = 0
	return r.rewrite.walker.Uploads(ctx, r.found.Bucket, func(u proxy.InProgress) error {
		below, err := r.below(ctx, u.Key, u.ID, u.Meta)
		name := fmt.Sprintf("upload of %q", u.Key)
		switch {
		case err != nil:
			r.found.Unseen[name] = err.Error()
		case below:
			r.found.Uploads++
			r.name(name)
		}
		return nil
	})
}

// countOldVersions counts the versions that are not current and below the floor.
func (r *rekeying) countOldVersions(ctx context.Context) error {
	r.found.OldVersions = 0
	var mu sync.Mutex
	old := walk{pace: r.pace, errOut: io.Discard, list: func(ctx context.Context, visit func(proxy.Listed) error) error {
		return r.rewrite.walker.OldVersions(ctx, r.found.Bucket, "", visit)
	}}
	return old.each(ctx, func(ctx context.Context, l proxy.Listed) error {
		below := false
		found, err := object.Inspect(ctx, r.rewrite.walker.Store, r.found.Bucket, l.Key, l.Version)
		if err == nil {
			below, err = r.below(ctx, l.Key, "", found.Metadata)
		}
		gone, err := deletedSince(l, err)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case gone:
		case err != nil:
			if len(r.found.Unseen) >= maxFailed {
				return fmt.Errorf("%w: %w", errTooMany, err)
			}
			r.found.Unseen[listedName(l)] = err.Error()
		case below:
			r.found.OldVersions++
			r.name(listedName(l))
		}
		return nil
	})
}

func (r *rekeying) name(what string) {
	if len(r.found.First) < maxFirst {
		r.found.First = append(r.found.First, what)
	}
}

func (r *rekeying) print() error {
	f := r.found
	if r.json {
		return json.NewEncoder(r.out).Encode(f)
	}
	verb := "encrypted anew"
	if r.dryRun {
		verb = "would be encrypted anew"
	}
	if err := f.rewritten.print(r.out, "s3://"+f.Bucket, verb); err != nil || r.dryRun {
		return err
	}
	if n := f.OldVersions + f.Uploads; n > 0 {
		fmt.Fprintf(r.out, "  %d versions that are not current and %d uploads in progress are under old keys\n", f.OldVersions, f.Uploads)
		for _, name := range f.First {
			fmt.Fprintf(r.out, "  under an old key: %s\n", name)
		}
	}
	printReasons(r.out, "not looked at: ", f.Unseen)
	if !f.Closed {
		fmt.Fprintf(r.out, "  The floor %s stays open: what is from before is still read. Run it again with --resume %s, or with --leave-behind as well.\n", f.Floor, f.Floor)
		return nil
	}
	_, err := fmt.Fprintf(r.out, `  The floor %s is closed: nothing from before is read. %d window records from before were removed. What is left to do:
  1. name it in the configuration of every proxy, or a store that hides it brings the old keys back at a restart:
       buckets: {%s: {floor: [%s]}}
  2. destroy or disable the old key or version in the KMS, and take it out of --kms-read
`, f.Floor, f.Records, f.Bucket, f.Floor)
	return err
}
