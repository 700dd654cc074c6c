package proxy

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/S3.md")

// The page is made from the table: what the code does and what is told cannot differ.
func TestDocsS3mdIsWhatTheTableSays(t *testing.T) {
	t.Parallel()
	const path = "../docs/S3.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- operations -->\n", "<!-- /operations -->"
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no place for the table", path)
	}
	rows := map[string]string{}
	for _, op := range operations() {
		remark := op.note
		if op.manages && op.handle != nil {
			remark = strings.TrimPrefix(remark+"; needs `manage`", "; ")
		}
		rows[op.name] = fmt.Sprintf("| %s | %s | %s |\n", op.name, op.effect, remark)
	}
	table := "| operation | what the proxy does | remark |\n|---|---|---|\n"
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		table += rows[name]
	}
	made := before + begin + table + end + after
	if *update {
		if err := os.WriteFile(path, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if made != string(page) {
		t.Errorf("%s is not what the table says; write it anew with: go test ./proxy -run DocsS3md -update", path)
	}
}
