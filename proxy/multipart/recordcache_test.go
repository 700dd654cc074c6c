package multipart

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// What another replica has sent meanwhile is not in the cache, which must not answer in its place.
func TestARecordThatWasSeenCountsOnlyForTheSendingThatIsListed(t *testing.T) {
	sent := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	record := func(number int, etag string) partRecord {
		return partRecord{Record: envelope.Record{ETag: etag, Part: envelope.Part{Number: number, Size: 5}}, lastModified: sent}
	}
	listed := s3xml.ListedPart{PartNumber: 1, ETag: `"e"`, Size: envelope.StoredPartSize(5), LastModified: sent.Add(-time.Millisecond)}
	changed := func(change func(*s3xml.ListedPart)) s3xml.ListedPart {
		p := listed
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		parts []s3xml.ListedPart
		known bool
	}{
		"the same":                   {[]s3xml.ListedPart{listed}, true},
		"a date in whole seconds":    {[]s3xml.ListedPart{changed(func(p *s3xml.ListedPart) { p.LastModified = sent.Add(900 * time.Millisecond) })}, true},
		"another ETag":               {[]s3xml.ListedPart{changed(func(p *s3xml.ListedPart) { p.ETag = "f" })}, false},
		"another size":               {[]s3xml.ListedPart{changed(func(p *s3xml.ListedPart) { p.Size++ })}, false},
		"sent again, with this ETag": {[]s3xml.ListedPart{changed(func(p *s3xml.ListedPart) { p.LastModified = sent.Add(2 * time.Second) })}, false},
		"no date":                    {[]s3xml.ListedPart{changed(func(p *s3xml.ListedPart) { p.LastModified = time.Time{} })}, false},
		"one without a record":       {[]s3xml.ListedPart{listed, changed(func(p *s3xml.ListedPart) { p.PartNumber = 2 })}, false},
		"two with this ETag":         {[]s3xml.ListedPart{changed(func(p *s3xml.ListedPart) { p.PartNumber = 3 })}, false},
		"part 10,000":                {[]s3xml.ListedPart{changed(func(p *s3xml.ListedPart) { p.PartNumber = envelope.MaxParts })}, false},
		"none":                       {nil, true},
	} {
		seen := newRecordCache()
		seen.add(Name{}, map[int][]partRecord{3: {record(3, "e"), record(3, "e")}, envelope.MaxParts: {record(envelope.MaxParts, "e")}})
		seen.add(Name{}, map[int][]partRecord{1: {record(1, "e")}})
		records, known := seen.of(Name{}, c.parts)
		if known != c.known || known && len(records) != len(c.parts) {
			t.Errorf("%s: known: %t, %v", name, known, records)
		}
	}
	if _, known := newRecordCache().of(Name{}, nil); known {
		t.Error("an upload of which nothing was read is known")
	}
}

func TestOnlySoManyRecordsAreKept(t *testing.T) {
	seen := newRecordCache()
	seen.add(Name{}, nil)
	if _, found := seen.uploads.GetIfPresent(Name{}.sum()); found {
		t.Error("an upload without a record is kept, which would weigh nothing")
	}
	for number := range 3 {
		seen.add(Name{}, map[int][]partRecord{number + 1: make([]partRecord, seenRecords/2-1)})
	}
	if _, found := seen.uploads.GetIfPresent(Name{}.sum()); found {
		t.Error("an upload with more records than all may have is kept")
	}
	for n := range 10 {
		id, err := s3name.ParseUploadID(fmt.Sprintf("upload-%d", n))
		if err != nil {
			t.Fatal(err)
		}
		seen.add(Name{ID: id}, map[int][]partRecord{1: make([]partRecord, seenRecords/2-1)})
	}
	seen.uploads.CleanUp()
	if n := seen.uploads.EstimatedSize(); n < 1 || n > 2 {
		t.Errorf("%d uploads with half as many records are kept", n)
	}
}
