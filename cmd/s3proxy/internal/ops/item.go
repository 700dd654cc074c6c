package ops

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Item is a thing in a bucket that a report names. The JSON names are part of the interface.
type Item struct {
	Key     string `json:"key,omitempty"`
	Version string `json:"version-id,omitempty"` // of a version that is not current
	Upload  string `json:"upload-id,omitempty"`  // of an upload in progress
	Record  string `json:"record,omitempty"`     // a window record's id
	Setting string `json:"setting,omitempty"`    // of the bucket: its CORS rules
	State   string `json:"state,omitempty"`      // where the state of an upload is, if nothing tells of which
}

func (i Item) String() string {
	switch {
	case i.Record != "":
		return "window record " + i.Record
	case i.Setting != "":
		return "the bucket's setting " + i.Setting
	case i.State != "":
		return "upload state " + i.State
	case i.Upload != "":
		return fmt.Sprintf("upload of %q", i.Key)
	case i.Version != "":
		return fmt.Sprintf("%q version %s", i.Key, i.Version)
	}
	return fmt.Sprintf("%q", i.Key)
}

func (i Item) compare(j Item) int {
	return cmp.Or(cmp.Compare(i.Record, j.Record), cmp.Compare(i.Setting, j.Setting), cmp.Compare(i.State, j.State), cmp.Compare(i.Key, j.Key), cmp.Compare(i.Version, j.Version), cmp.Compare(i.Upload, j.Upload))
}

// named is the item that a listing names.
func named(l listed) Item {
	i := Item{Key: l.Key}
	if l.Old {
		i.Version = l.Version
	}
	return i
}

// Reasons says of items what is wrong with each. As JSON it is a list, of items with an "error".
type Reasons map[Item]string

// Sorted goes through the items in order.
func (r Reasons) Sorted() iter.Seq2[Item, string] {
	return func(yield func(Item, string) bool) {
		for _, item := range slices.SortedFunc(maps.Keys(r), Item.compare) {
			if !yield(item, r[item]) {
				return
			}
		}
	}
}

// MarshalJSON implements json.Marshaler.
func (r Reasons) MarshalJSON() ([]byte, error) {
	type reason struct {
		Item
		Error string `json:"error"`
	}
	all := make([]reason, 0, len(r))
	for item, text := range r.Sorted() {
		all = append(all, reason{item, text})
	}
	return json.Marshal(all)
}
