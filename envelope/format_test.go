package envelope

import (
	"encoding/hex"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The test compares the worked example of docs/FORMAT.md piece by piece, so that the document
// cannot drift from the vectors.
func TestTheWorkedExampleOfTheDocumentIsTheVector(t *testing.T) {
	page, err := os.ReadFile("../docs/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "## Worked example")
	if !ok {
		t.Fatal("docs/FORMAT.md has no worked example")
	}
	example := strings.Split(rest, "```")[1]
	// label -> value without spaces; a line that begins with spaces continues the one before.
	got := map[string]string{}
	label := ""
	for line := range strings.Lines(example) {
		line = strings.TrimRight(line, "\n")
		if len(line) < 16 {
			continue
		}
		if head := strings.TrimSpace(line[:16]); head != "" {
			label = head
		}
		if value := strings.ReplaceAll(line[16:], " ", ""); !strings.HasPrefix(value, "then") {
			got[label] += value
		}
	}
	raw, err := os.ReadFile("testdata/vectors/good_hello")
	if err != nil {
		t.Fatal(err)
	}
	v, err := parseVector("good_hello", raw)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"KEK": hex.EncodeToString(v.kek), "DEK": hex.EncodeToString(v.dek)}
	for name, value := range v.meta {
		want[strings.TrimPrefix(name, MetadataPrefix)] = value
	}
	dek := must(DEKFromBytes(v.dek))
	segment, table, summary := v.body[:33], v.body[33:len(v.body)-trailerEnd], v.body[len(v.body)-trailerEnd:][:sealedSummary]
	aad := newSegmentAAD(KindSingle, Part{})
	tablePlain := must(dek.open(table, sealedAAD(KindSingle, tagTable)))
	if !allZero(tablePlain[4+entrySize:]) || len(tablePlain) != 4+entrySize+84 {
		t.Error("the document's padding is not the vector's")
	}
	for name, b := range map[string][]byte{
		"segment aad": aad.at(0, true), "segment": segment,
		"table aad": sealedAAD(KindSingle, tagTable), "table": tablePlain[:4+entrySize], "sealed table": table,
		"summary aad": sealedAAD(KindSingle, tagSummary), "summary": must(dek.open(summary, sealedAAD(KindSingle, tagSummary))), "sealed summary": summary,
		"magic": []byte(trailerMagic),
	} {
		want[name] = hex.EncodeToString(b)
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q in the document, %q in the vector", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the document has %d values, the vector %d", len(got), len(want))
	}
}

func TestThePackageImportsOnlyTheStandardLibraryAndTink(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if strings.Contains(path, ".") && !strings.HasPrefix(path, "github.com/tink-crypto/tink-go/v2/") {
				t.Errorf("%s imports %s", file, path)
			}
			if strings.HasSuffix(path, "/insecuresecretdataaccess") && file != "key.go" {
				t.Errorf("%s takes raw keys out of Tink; only key.go may", file)
			}
		}
	}
}
