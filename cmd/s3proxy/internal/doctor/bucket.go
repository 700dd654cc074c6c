package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Folder begins the keys of all test objects.
const Folder = "s3proxy-doctor/"

// Bucket is the one that somebody has named to try things in.
type Bucket struct {
	Name s3name.Bucket
	// Store is the client of its store, as the configuration says. With gives one that sends
	// bodies in another way; nil if there is no choice.
	Store   *upstream.Client
	Payload upstream.Payload
	With    func(context.Context, upstream.Payload) (*upstream.Client, error)
	// Proxied is a client of a proxy in front of it.
	Proxied *upstream.Client
	Place   state.Place
	Advice  Advice
	// ReadOnly leaves out what writes.
	ReadOnly bool

	run     string // the test objects' prefix
	unusual error  // why the bucket cannot be used
}

// Checks are those of the bucket; the first finds out whether the others make sense, the last
// removes the test objects.
func (b *Bucket) Checks() []Check {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	b.run = b.Place.Prefix + Folder + hex.EncodeToString(id) + "/"
	at := "s3://" + b.Name.String()
	checks := []Check{{Name: "bucket", Look: b.reach}, {Name: "versioning", Look: b.needs(b.versioning)}, {Name: "lifecycle", Look: b.needs(b.lifecycle)}}
	stateBucket, _ := b.Place.Of(b.Name)
	writing := []Check{
		{Name: "state-objects", Look: b.writes(stateBucket, b.stateObjects)},
		{Name: "round-trip", Look: b.writes(b.Name, b.roundTrip)},
		{Name: "trailers", Look: b.writes(b.Name, b.trailers)},
		{Name: "signed-chunks", Look: b.writes(b.Name, b.signedChunks)},
		{Name: "unsigned-payload", Look: b.writes(b.Name, b.unsignedPayload)},
		{Name: "cut-body", Look: b.writes(b.Name, b.cutBody)},
		{Name: "conditional-put", Look: b.writes(b.Name, b.conditionalPut)},
		{Name: "conditional-complete", Look: b.writes(b.Name, b.conditionalComplete)},
		{Name: "conditional-copy", Look: b.writes(b.Name, b.conditionalCopy)},
		{Name: "multipart-limits", Look: b.writes(b.Name, b.multipartLimits)},
		{Name: "cleanup", Look: b.writes(b.Name, b.cleanup), Always: true},
	}
	for _, c := range writing {
		if b.ReadOnly {
			c.Look = func(context.Context) Finding { return skipped("it writes a test object, and read-only is set") }
		}
		checks = append(checks, c)
	}
	for i := range checks {
		checks[i].At = at
	}
	return checks
}

// needs skips what makes no sense in a bucket that cannot be used.
func (b *Bucket) needs(look func(context.Context) Finding) func(context.Context) Finding {
	return func(ctx context.Context) Finding {
		if b.unusual != nil {
			return skipped("the bucket cannot be used")
		}
		return look(ctx)
	}
}

// writes skips what would leave objects in a bucket that lets nobody delete them.
func (b *Bucket) writes(to s3name.Bucket, look func(context.Context) Finding) func(context.Context) Finding {
	return b.needs(func(ctx context.Context) Finding {
		if b.Store.HasDefaultRetention(ctx, to) {
			return stays(to)
		}
		return look(ctx)
	})
}

func stays(bucket s3name.Bucket) Finding {
	return skipped("it writes a test object, and the default retention (Object Lock) of s3://%s would not let it be deleted", bucket)
}

// reach looks whether the bucket can be listed.
func (b *Bucket) reach(ctx context.Context) Finding {
	resp, err := b.Store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: b.Name, Query: url.Values{"list-type": {"2"}, "max-keys": {"1"}}})
	if err == nil {
		resp.Body.Close()
		return well("the proxy may list it")
	}
	b.unusual = err
	return failed(b.do(ctx, err), "%s", oneLine(err))
}

// do says what to do about an error of the bucket's store.
func (b *Bucket) do(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, s3err.NoSuchBucket):
		return "make it, or correct its name"
	case errors.Is(err, s3err.AccessDenied):
		return "let the proxy's user list, read, write and delete objects in it (s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject and their kin)"
	}
	return cmp.Or(b.Advice(ctx, err), "look at the store's own log: s3proxy needs what it refuses")
}

func (b *Bucket) versioning(ctx context.Context) Finding {
	var setting struct {
		Status string `xml:"Status"`
	}
	_, err := b.Store.GetXML(ctx, &upstream.Request{Bucket: b.Name, Query: url.Values{"versioning": {""}}}, &setting)
	status, refused := upstream.Status(err)
	switch {
	case refused && (status == http.StatusNotImplemented || status == http.StatusNotFound):
		return well("the store keeps no versions")
	case err != nil:
		return skipped("the proxy may not ask (s3:GetBucketVersioning), and serve need not; keys rotate --objects, keys rekey, encrypt-existing and gc --records do: %s", oneLine(err))
	case setting.Status == "":
		return well("it keeps no versions")
	case setting.Status == "Suspended":
		return well("suspended: old versions stay, and s3proxy opens them")
	}
	return well("enabled: keys rotate --objects, keys rekey and encrypt-existing make a new version of each object")
}

// lifecycle looks for rules that take the proxy's own objects.
func (b *Bucket) lifecycle(ctx context.Context) Finding {
	at, root := b.Place.Of(b.Name)
	resp, err := b.Store.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: at, Query: url.Values{"lifecycle": {""}}})
	status, refused := upstream.Status(err)
	switch {
	case refused && (status == http.StatusNotFound || status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed):
		return well("there are no rules")
	case err != nil:
		return skipped("the rules cannot be read (s3:GetLifecycleConfiguration): look yourself whether one expires or moves what is below %s: %s", root, oneLine(err))
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(resp.Body, s3xml.MaxBytes))
	if err != nil {
		return skipped("the rules cannot be read: %s", oneLine(err))
	}
	rules, err := proxy.RulesThatTakeState(doc, b.Place)
	switch {
	case err != nil:
		return warning("look yourself whether one expires or moves what is below "+root, "the rules are not understood: %s", oneLine(err))
	case len(rules) > 0:
		return failed("give the rule a prefix that "+root+" does not begin with, or a tag, or an ObjectSizeGreaterThan of 6 MiB; or have s3proxy keep its objects in a bucket of their own (state-bucket)",
			"rules expire or move s3proxy's own objects, without which a rotation makes data unreadable: %s", strings.Join(rules, ", "))
	}
	return well("no rule takes what is below %s", root)
}

// key is that of a test object.
func (b *Bucket) key(name string) s3name.Key {
	key, err := s3name.ParseKey(b.run + name)
	if err != nil {
		panic("the name of a test object: " + err.Error()) // they are constants, and the prefix is checked
	}
	return key
}

// content is that of a test object; it compresses to nothing, and is found again in plaintext.
func content(n int) []byte { return bytes.Repeat([]byte("s3proxy doctor. "), n/16+1)[:n] }

// get reads a test object.
func get(ctx context.Context, from *upstream.Client, bucket s3name.Bucket, key s3name.Key, h http.Header) ([]byte, error) {
	resp, err := from.Do(ctx, &upstream.Request{Method: http.MethodGet, Bucket: bucket, Key: key, Header: h})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 16<<20))
}

// put streams a test object.
func put(ctx context.Context, to *upstream.Client, bucket s3name.Bucket, key s3name.Key, body []byte, h http.Header) error {
	_, err := putVersion(ctx, to, bucket, key, body, h)
	return err
}

// putVersion is put, and gives the version that was answered.
func putVersion(ctx context.Context, to *upstream.Client, bucket s3name.Bucket, key s3name.Key, body []byte, h http.Header) (version s3name.VersionID, err error) {
	resp, err := to.Do(ctx, &upstream.Request{Method: http.MethodPut, Bucket: bucket, Key: key, Header: h, Body: bytes.NewReader(body), Length: int64(len(body))})
	if err != nil {
		return version, err
	}
	resp.Body.Close()
	return upstream.AnsweredVersion(resp.Header)
}

func remove(ctx context.Context, at *upstream.Client, bucket s3name.Bucket, key s3name.Key, version s3name.VersionID) error {
	resp, err := at.Do(ctx, &upstream.Request{Method: http.MethodDelete, Bucket: bucket, Key: key, VersionID: version})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// stateObjects writes, reads and deletes one where the proxy has its own.
func (b *Bucket) stateObjects(ctx context.Context) Finding {
	at, prefix := b.Place.Of(b.Name)
	own, name := state.Store{Client: b.Store, Place: b.Place}, prefix+"doctor/"+b.run[len(b.Place.Prefix+Folder):]
	err := writeAndRead(ctx, own, at, name+"test")
	within, cancel := afterwards(ctx)
	defer cancel()
	removed := own.Remove(within, at, name)
	switch {
	case err == nil && errors.Is(removed, state.ErrLocked):
		return well("the proxy may write there; a retention keeps the test object for a while")
	case err != nil || removed != nil:
		return failed("let the proxy's user write, read, list and delete objects below s3://"+at.String()+"/"+prefix, "%s", oneLine(errors.Join(err, removed)))
	}
	return well("the proxy may write, read, list and delete below s3://%s/%s", at, prefix)
}

func writeAndRead(ctx context.Context, own state.Store, at s3name.Bucket, name string) error {
	if err := own.Put(ctx, at, name, &upstream.Request{Bytes: content(100)}); err != nil {
		return err
	}
	read, err := own.Request(http.MethodGet, at, name)
	if err != nil {
		return err
	}
	_, err = get(ctx, own.Client, at, read.Key, nil)
	return err
}

// removeWithin bounds how long a check removes what it has written.
const removeWithin = 10 * time.Second

// afterwards is for removing what a check has written, even if the check was interrupted.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
}

// roundTrip writes an object through a proxy, reads it again, and looks at what the store has.
func (b *Bucket) roundTrip(ctx context.Context) Finding {
	key, body := b.key("round-trip"), content(200_000)
	if err := put(ctx, b.Proxied, b.Name, key, body, http.Header{"X-Amz-Meta-Test": {"doctor"}}); err != nil {
		return failed(b.do(ctx, err), "the test object could not be written: %s", oneLine(err))
	}
	if f := readBack(ctx, b.Proxied, b.Name, key, body); f.State != OK {
		return f
	}
	raw, err := get(ctx, b.Store, b.Name, key, nil)
	switch {
	case err != nil:
		return failed(b.do(ctx, err), "the test object could not be read at the store: %s", oneLine(err))
	case bytes.Contains(raw, body[:64]):
		return warning("set encrypt: true for it, unless this is meant", "the bucket is configured without encryption: the store has the plaintext")
	}
	if err := remove(ctx, b.Proxied, b.Name, key, s3name.VersionID{}); err != nil {
		return warning("let the proxy's user delete objects (s3:DeleteObject)", "the test object could not be deleted: %s", oneLine(err))
	}
	return well("a test object came back as it was written, and the store has only ciphertext")
}

const doReadBack = "look at what is on the way (balancers, caches, scanners): something changes or refuses bodies"

// readBack reads a test object, whole and a range of it.
func readBack(ctx context.Context, from *upstream.Client, bucket s3name.Bucket, key s3name.Key, body []byte) Finding {
	whole, err := get(ctx, from, bucket, key, nil)
	if err != nil {
		return failed(doReadBack, "the test object could not be read: %s", oneLine(err))
	}
	part, err := get(ctx, from, bucket, key, http.Header{"Range": {"bytes=100000-100099"}})
	switch {
	case err != nil:
		return failed(doReadBack, "a range of the test object could not be read: %s", oneLine(err))
	case !bytes.Equal(whole, body) || !bytes.Equal(part, body[100_000:100_100]):
		return failed(doReadBack, "the test object came back changed")
	}
	return well("a test object came back as it was written")
}

// maxLeft bounds how often to look for what is left.
const maxLeft = 10

// cleanup removes all that the checks have written.
func (b *Bucket) cleanup(ctx context.Context) Finding {
	for round := range maxLeft {
		page, err := b.Store.ListAny(ctx, upstream.Request{Method: http.MethodGet, Bucket: b.Name}, b.run, "", s3xml.MaxEntries)
		if err == nil && len(page.Entries()) == 0 {
			return well("the test objects below %s are gone", b.run)
		}
		for _, entry := range entriesOf(page) {
			if err == nil {
				err = b.removeEntry(ctx, entry, round > 0)
			}
		}
		if err != nil {
			return warning("remove what is below it yourself, or allow s3:DeleteObjectVersion there", "the test objects below s3://%s/%s could not be removed: %s", b.Name, b.run, oneLine(err))
		}
	}
	return warning("remove what is below it yourself", "some test objects are left below s3://%s/%s", b.Name, b.run)
}

func entriesOf(page *s3xml.AnyList) []s3xml.ListedVersion {
	if page == nil {
		return nil
	}
	return page.Entries()
}

// removeEntry deletes a listed version. Where there are no versions, all are called null, and the
// proxy's user need not be allowed to delete any; thorough deletes one of that name all the same.
func (b *Bucket) removeEntry(ctx context.Context, entry s3xml.ListedVersion, thorough bool) error {
	key, err := s3name.ParseKey(string(entry.Key))
	if err != nil || !strings.HasPrefix(string(entry.Key), b.run) {
		return fmt.Errorf("the store lists %q among them", entry.Key)
	}
	var version s3name.VersionID
	if entry.VersionID != "" && (entry.VersionID != "null" || thorough) {
		if version, err = s3name.ParseVersionID(entry.VersionID); err != nil {
			return err
		}
	}
	return remove(ctx, b.Store, b.Name, key, version)
}
