package state

import (
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// DropOwn removes state objects from a page. inState says that the page ended among them.
func (s Place) DropOwn(page *s3xml.ListObjects) (inState bool) {
	inState = strings.HasPrefix(page.Last(), s.Root())
	page.Contents = slices.DeleteFunc(page.Contents, func(o s3xml.ListedObject) bool { return s.Owns(string(o.Key)) })
	return inState
}

// DropOwnVersions removes state objects from a page, and the version named by the page's marker:
// versitygw 1.8 lists it again if it is the newest of its key. inState says that the page ended
// among the state objects.
func (s Place) DropOwnVersions(page *s3xml.ListVersions, asked s3xml.VersionMarker) (inState bool) {
	inState = strings.HasPrefix(page.Last(), s.Root())
	page.Versions = slices.DeleteFunc(page.Versions, func(v s3xml.ListedVersion) bool {
		return s.Owns(string(v.Key)) || v.Key == asked.Key && v.VersionID == asked.Version
	})
	return inState
}

// Shared is the common prefix into which a delimiter combines state objects and clients' objects,
// because it cuts the keys of state objects before their folder ends: `.`, or `/` if they are below
// team/. It is empty if there is no such prefix.
func (s Place) Shared(prefix, delimiter string) string {
	rest, begins := strings.CutPrefix(s.Root(), prefix)
	if !begins || delimiter == "" {
		return ""
	}
	before, _, cut := strings.Cut(rest, delimiter)
	if common := prefix + before + delimiter; cut && common != s.Root() {
		return common
	}
	return ""
}
