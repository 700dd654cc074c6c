// Command vectorgen writes the test vectors of object format 1.
//
// It shares no code with package envelope: object.go builds stored objects from
// docs/FORMAT.md with nothing but the standard library, so that a mistake in
// one of the two shows as a difference. Run it with "go generate ./envelope".
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "testdata/vectors", "folder of the vectors; what is there and not made anew is removed")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "vectorgen:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	files := generate()
	old, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range old {
		if _, ok := files[entry.Name()]; !ok {
			if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil {
				return err
			}
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns all vectors by file name.
func generate() map[string][]byte {
	var all []vector
	all = append(all, goodObjects()...)
	all = append(all, ranges()...)
	all = append(all, badMetadata()...)
	all = append(all, badBodies()...)
	all = append(all, badSplices()...)
	all = append(all, badTrailers()...)
	all = append(all, records()...)
	files := make(map[string][]byte, len(all))
	for _, v := range all {
		if files[v.name] != nil {
			panic("two vectors named " + v.name)
		}
		files[v.name] = v.encode()
	}
	return files
}
