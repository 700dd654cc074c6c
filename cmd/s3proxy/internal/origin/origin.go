// Package origin tells what a browser sends because a page of another site asks for it.
package origin

import "net/http"

var protection = http.NewCrossOriginProtection()

// ByAnotherSite tells whether a page of another site has a browser send r. Reads count too, unlike
// for net/http: an answer may allow every page to look at it, as MinIO's do.
func ByAnotherSite(r *http.Request) bool {
	judged := *r
	judged.Method = http.MethodPost
	return protection.Check(&judged) != nil
}

// IsLink tells whether somebody follows a link, and so looks at the answer himself: the page that
// has the link does not see it.
func IsLink(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
