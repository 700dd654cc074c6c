package proxy

import (
	"net/url"
	"slices"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// dropPrefixes removes the common prefixes that only our own objects have. For one that clients'
// objects may share, the store is asked for a key before and behind our own; first returns the
// first key behind another.
func (x *exchange) dropPrefixes(list *s3xml.Bounded[s3xml.CommonPrefix], shared string, first func(prefix, after string) (string, error)) error {
	hidden := func(prefix string) (bool, error) {
		if prefix != shared {
			return x.Place.Owns(prefix), nil
		}
		for _, after := range []string{"", x.Place.Past()} {
			key, err := first(shared, after)
			if err != nil || key != "" && !x.Place.Owns(key) {
				return false, err
			}
		}
		return true, nil
	}
	var failed error
	*list = slices.DeleteFunc(*list, func(p s3xml.CommonPrefix) bool {
		gone, err := hidden(string(p.Prefix))
		if err != nil {
			failed = err
		}
		return gone
	})
	return failed
}

// firstObject gives the first key that has a prefix and sorts behind another; "" for none.
func (x *exchange) firstObject(prefix, after string) (string, error) {
	q := url.Values{"list-type": {"2"}, "prefix": {prefix}, "max-keys": {"1"}}
	if after != "" {
		q.Set("start-after", after)
	}
	page, _, err := x.listPage(q)
	if err != nil || len(page.Contents) == 0 {
		return "", err
	}
	return string(page.Contents[0].Key), nil
}

// firstVersion is firstObject for versions and delete markers.
func (x *exchange) firstVersion(prefix, after string) (string, error) {
	q := url.Values{"versions": {""}, "prefix": {prefix}, "max-keys": {"1"}}
	if after != "" {
		q.Set("key-marker", after)
	}
	page, _, err := x.askVersions(q)
	if err != nil || len(page.Versions) == 0 {
		return "", err
	}
	return string(page.Versions[0].Key), nil
}
