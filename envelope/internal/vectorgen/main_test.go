package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

const vectors = "../../testdata/vectors"

func TestTheCheckedInVectorsAreWhatTheGeneratorWrites(t *testing.T) {
	files := generate()
	entries, err := os.ReadDir(vectors)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if files[entry.Name()] == nil {
			t.Errorf("%s is not made by the generator", entry.Name())
		}
	}
	for name, content := range files {
		got, err := os.ReadFile(filepath.Join(vectors, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, content) {
			t.Errorf("%s differs; run go generate ./envelope and look at the difference", name)
		}
	}
}

func TestTheVectorsAreSmallEnoughForTheRepository(t *testing.T) {
	total := 0
	for _, content := range generate() {
		total += len(content)
	}
	if total > 3<<20 {
		t.Errorf("the vectors have %d bytes", total)
	}
}
