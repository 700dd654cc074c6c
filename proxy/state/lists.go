package state

import (
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// DropOwn removes our own objects from a page. inState says that the page ended among them.
func (s Place) DropOwn(page *s3xml.ListObjects) (inState bool) {
	inState = strings.HasPrefix(page.Last(), s.Root())
	page.Contents = slices.DeleteFunc(page.Contents, func(o s3xml.ListedObject) bool { return s.Owns(string(o.Key)) })
	return inState
}

// DropOwnVersions removes our own objects from a page, and the version that its marker names:
// versitygw 1.8 lists it again if it is its key's newest. inState says that the page ended among our
// own objects.
func (s Place) DropOwnVersions(page *s3xml.ListVersions, asked s3xml.VersionMarker) (inState bool) {
	inState = strings.HasPrefix(page.Last(), s.Root())
	page.Versions = slices.DeleteFunc(page.Versions, func(v s3xml.ListedVersion) bool {
		return s.Owns(string(v.Key)) || v.Key == asked.Key && v.VersionID == asked.Version
	})
	return inState
}

// Shared is the common prefix that a delimiter makes of our own objects and of clients'
// objects alike, because it cuts the keys of ours before their folder ends: `.`, or `/`
// where they are below team/. It is empty where it does not.
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
