package ops

import (
	"fmt"
	"strings"
)

// KEKUse counts what names a version of a key.
type KEKUse struct {
	KEK     string `json:"kek"`
	Records int    `json:"records"`
	Objects int    `json:"objects"` // versions and uploads in progress among them
	// Of the objects:
	Covered    int `json:"covered"` // their record is another key's, and opens
	WindowZero int `json:"window-0"`
	NoRecord   int `json:"record-missing"`
	BadRecord  int `json:"record-broken"`
	// Floor: the bucket's floor is wrapped by it.
	Floor bool `json:"floor,omitempty"`
	// Some of those that are not covered, by name.
	First      []string `json:"first,omitempty"`
	MayDestroy bool     `json:"may-be-destroyed"`
	Why        string   `json:"why"`

	unknown bool // no configured key is called so
}

// needs says why a KEK must stay; "" if it may go.
func (c *statusCount) needs(use *KEKUse) string {
	var why []string
	because := func(n int, what string) {
		if n > 0 {
			why = append(why, fmt.Sprintf("%d %s", n, what))
		}
	}
	if use.KEK == c.Current {
		why = append(why, "it is the current one")
	}
	if use.Floor {
		why = append(why, "the bucket's floor is wrapped by it (name it in the settings, floor, and keys rotate)")
	}
	because(use.Records, "window records are wrapped by it (keys rotate)")
	because(use.WindowZero, "objects of window 0 have no record (keys rotate --objects)")
	because(use.NoRecord, "objects have no window record any more (keys rotate --objects)")
	because(use.BadRecord, "objects have a window record that does not open")
	switch {
	case len(why) > 0:
	case !c.Objects:
		why = append(why, "not known: only --objects looks at them")
	case use.unknown && use.Objects == 0: // another spelling of a name, perhaps
		why = append(why, "not known: no configured key has this name, and nothing in the bucket refers to it")
	case len(c.Unreadable) > 0:
		why = append(why, "not known: not everything could be looked at")
	case c.zeroUpload:
		why = append(why, "not known while uploads of window 0 are in progress")
	}
	return strings.Join(why, ", ")
}

// maxFirst bounds how many objects are named as a reason.
const maxFirst = 5
