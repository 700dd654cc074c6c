package random

import (
	"os"
	"strings"
	"testing"
)

// docs/S3.md lists the wanted differences before the table of operations: all of them, and no
// others.
func TestDocsHaveTheDifferencesThatTheComparisonAccepts(t *testing.T) {
	page, err := os.ReadFile("../../docs/S3.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("<!-- differences -->\n| through s3proxy | why |\n|---|---|\n")
	for _, w := range wantedDifferences {
		want.WriteString("| " + w.what + " | " + w.why + " |\n")
	}
	want.WriteString("<!-- /differences -->\n")
	before, _, found := strings.Cut(string(page), "<!-- operations -->")
	if !found || !strings.Contains(before, want.String()) {
		t.Errorf("docs/S3.md does not have in front of its table:\n%s", want.String())
	}
}
