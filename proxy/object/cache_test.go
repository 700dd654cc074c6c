package object

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
)

func parsed[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Some stores answer a HEAD with the metadata of one state and the ETag of another. Therefore a HEAD's
// word is not kept for ever, and the object must be readable afterwards.
func TestAHeadOfTwoStatesDoesNotLockAnObjectForGood(t *testing.T) {
	c := NewCache()
	now := time.Unix(1e9, 0)
	c.now = func() time.Time { return now }
	of := func(commitment byte) *Stored {
		return &Stored{Bucket: parsed(s3name.ParseBucket("bucket")), Key: parsed(s3name.ParseKey("k")), UpstreamETag: `"e"`, Meta: &envelope.Metadata{Kind: envelope.KindSingle, Commitment: [32]byte{commitment}}}
	}
	if err := c.sameKey(of(1), false); err != nil {
		t.Fatal(err)
	}
	if err := c.sameKey(of(2), false); err == nil {
		t.Error("another key is accepted right after a HEAD")
	}
	now = now.Add(unprovenFor + time.Second)
	if err := c.sameKey(of(2), true); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	now = now.Add(24 * time.Hour)
	if err := c.sameKey(of(1), false); err == nil {
		t.Error("another key is accepted although bytes with this ETag were opened before")
	}
	empty := of(3)
	empty.Meta.Kind = envelope.KindEmpty
	if err := c.sameKey(empty, false); err != nil {
		t.Errorf("an empty object: %v", err)
	}
}

// A state holds its whole part table: however many objects are read in ranges, all tables together
// are bounded.
func TestTheStatesThatWereLastSeenAreBoundedByTheirParts(t *testing.T) {
	o := New(Settings{}, state.Place{}, NewCache())
	bucket := parsed(s3name.ParseBucket("bucket"))
	of := func(i int) s3name.Key { return parsed(s3name.ParseKey(fmt.Sprint(i))) }
	const objects = 20
	parts := make([]envelope.Part, trailerCacheParts/objects*2)
	for i := range parts {
		parts[i] = envelope.Part{Number: i + 1, Size: envelope.MinPartSize}
	}
	for i := range objects {
		s := &Stored{Bucket: bucket, Key: of(i), UpstreamETag: `"e"`, Meta: &envelope.Metadata{Kind: envelope.KindMultipart, Commitment: [32]byte{byte(i)}}}
		if err := o.prove(s, &envelope.Trailer{Kind: envelope.KindMultipart, Parts: parts}); err != nil {
			t.Fatal(err)
		}
	}
	held := 0
	for i := range objects {
		if st, ok := o.LastSeen(bucket, of(i), s3name.VersionID{}); ok {
			held += len(st.Trailer.Parts)
		}
	}
	if held == 0 || held > trailerCacheParts {
		t.Errorf("%d parts are held, want up to %d", held, trailerCacheParts)
	}
}
