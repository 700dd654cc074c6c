package multipart

import (
	"maps"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// recordCache has the part records that this process has read, for the next pages of a ListParts: the
// records of one page are spread over the names of all others.
//
// It is a hint that the store's list proves. A record authenticates itself, nothing but the end of
// its upload removes it, and the store does not list the parts of an upload that has ended. So it is
// still true, and it is the record of the part in the list if ETag and size are the same. A later
// sending, through another replica, has another ETag; of a store that gives it the same one, the
// part's date tells, which is before that of its record.
type recordCache struct {
	uploads *otter.Cache[nameSum, map[int][]partRecord]
}

const (
	// seenRecords is how many records are kept, about 400 bytes each.
	seenRecords = 20_000
	// seenFor is how long the next page is waited for.
	seenFor = time.Minute
)

func newRecordCache() *recordCache {
	return &recordCache{uploads: otter.Must(&otter.Options[nameSum, map[int][]partRecord]{
		MaximumWeight:    seenRecords,
		Weigher:          func(_ nameSum, records map[int][]partRecord) uint32 { return uint32(1 + sendings(records)) },
		ExpiryCalculator: otter.ExpiryAccessing[nameSum, map[int][]partRecord](seenFor),
	})}
}

func sendings(records map[int][]partRecord) (n int) {
	for _, of := range records {
		n += len(of)
	}
	return n
}

// of returns the record of each listed part, if all of them are known.
func (c *recordCache) of(n Name, listed []s3xml.ListedPart) (records map[int][]partRecord, all bool) {
	seen, found := c.uploads.GetIfPresent(n.sum())
	if !found {
		return nil, false
	}
	records = map[int][]partRecord{}
	for _, p := range listed {
		sent := seen[p.PartNumber]
		if len(sent) != 1 || !isOf(sent[0], p) || p.LastModified.IsZero() || p.LastModified.After(sent[0].lastModified.Add(datePrecision)) {
			return nil, false
		}
		records[p.PartNumber] = sent
	}
	return records, true
}

// datePrecision is how exact the dates of some stores are.
const datePrecision = time.Second

// add keeps records that were read. A number of which only some sendings were read is proven by the
// store's list as any other.
func (c *recordCache) add(n Name, read map[int][]partRecord) {
	records := map[int][]partRecord{}
	if before, found := c.uploads.GetIfPresent(n.sum()); found {
		maps.Copy(records, before)
	}
	maps.Copy(records, read)
	delete(records, envelope.MaxParts) // which no list proves
	switch size := sendings(records); {
	case size == 0:
		return
	case size > seenRecords:
		c.uploads.Invalidate(n.sum())
		return
	}
	c.uploads.Set(n.sum(), records)
}
