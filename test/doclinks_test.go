package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	docLink    = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	docHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInLink  = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// anchors are what GitHub calls the headings of a page.
func anchors(text string) (names []string) {
	for _, h := range docHeading.FindAllStringSubmatch(text, -1) {
		names = append(names, strings.ReplaceAll(notInLink.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return names
}

func TestLinksOfTheDocsLeadSomewhere(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	recipes, err := filepath.Glob("../docs/clients/*.md")
	if err != nil {
		t.Fatal(err)
	}
	linksTo := map[string]string{}
	links := 0
	for _, page := range append(append(pages, recipes...), "../README.md", "../CONTRIBUTING.md", "../SECURITY.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		linksTo[filepath.Clean(page)] = string(text)
		for _, m := range docLink.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			to := page
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(page), m[1])
			}
			info, err := os.Stat(to)
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if m[2] == "" || info.IsDir() {
				continue
			}
			if there, err := os.ReadFile(to); err != nil || !slices.Contains(anchors(string(there)), m[2]) {
				t.Errorf("%s: %s has no heading #%s (%v)", page, to, m[2], err)
			}
		}
	}
	if links < 100 {
		t.Errorf("the docs have %d links", links)
	}
	for _, page := range pages {
		if !strings.Contains(linksTo["../README.md"], "(docs/"+filepath.Base(page)+")") {
			t.Errorf("README.md has no link to docs/%s", filepath.Base(page))
		}
	}
	for _, page := range recipes {
		if name := filepath.Base(page); name != "README.md" && !strings.Contains(linksTo["../docs/clients/README.md"], "("+name+")") {
			t.Errorf("docs/clients/README.md has no link to %s", name)
		}
	}
}
