package ops

import (
	"fmt"
	"strings"
)

// KEKUse counts what names a KEK. The JSON names are part of the interface.
type KEKUse struct {
	KEK     string `json:"kek"`
	Records int    `json:"records"`
	Objects int    `json:"objects"` // versions and uploads in progress among them
	// Of the objects:
	Covered    int `json:"covered"` // another KEK wraps their record, which opens
	WindowZero int `json:"window-0"`
	NoRecord   int `json:"record-missing"`
	BadRecord  int `json:"record-broken"`
	// Floor says that it wraps the bucket's floor.
	Floor bool `json:"floor,omitempty"`
	// First names some of those that are not covered.
	First      []Item `json:"first,omitempty"`
	MayDestroy bool   `json:"may-be-destroyed"`
	Why        string `json:"why"`

	unknown bool // no configured key has this name
}

// needs says why a KEK must stay; "" if it is safe to destroy.
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
		why = append(why, "the bucket's floor is wrapped by it (name the floor in the settings, then keys rotate)")
	}
	because(use.Records, "window records are wrapped by it (keys rotate)")
	because(use.WindowZero, "objects of window 0 have no record (keys rotate --objects)")
	because(use.NoRecord, "objects have no window record any more (keys rotate --objects)")
	because(use.BadRecord, "objects have a window record that does not open")
	switch {
	case len(why) > 0:
	case !c.Objects:
		why = append(why, "not known: only --objects looks at objects")
	case use.unknown && use.Objects == 0: // perhaps another spelling of a name
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
