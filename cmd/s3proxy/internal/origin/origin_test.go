package origin

import (
	"net/http/httptest"
	"testing"
)

func TestReadsOfAnotherSitesPageCountAndLinksAreTold(t *testing.T) {
	for _, c := range []struct {
		what, method string
		headers      []string
		byAnother    bool
		link         bool
	}{
		{"no browser", "GET", nil, false, false},
		{"a page's fetch", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, true, false},
		{"a page of a neighbour", "GET", []string{"Sec-Fetch-Site", "same-site"}, true, false},
		{"an old browser's page", "HEAD", []string{"Origin", "https://elsewhere.example"}, true, false},
		{"its own page", "PUT", []string{"Sec-Fetch-Site", "same-origin"}, false, false},
		{"its own page, by origin", "PUT", []string{"Origin", "http://proxy.test"}, false, false},
		{"typed by the user", "GET", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, false, true},
		{"a link", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, true, true},
		{"a frame", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, true, false},
		{"a form", "POST", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, true, false},
	} {
		r := httptest.NewRequest(c.method, "http://proxy.test/bucket/key", nil)
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		if by, link := ByAnotherSite(r), IsLink(r); by != c.byAnother || link != c.link {
			t.Errorf("%s: by another site %v, a link %v", c.what, by, link)
		}
	}
}
