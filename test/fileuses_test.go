package test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mostUpward is how much of what a package's files use of each other may run upward, where
// its files stand in the order that makes it least; and from how many on that says anything.
const mostUpward, fewUses = 0.15, 20

// The files of a package stand on each other: one uses those below it. A use that runs back up
// is a knot, and where there are many of them nobody can read one file without all others.
func TestFilesOfAPackageUseEachOtherDownward(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, a := range mayImport {
		if strings.HasPrefix(a.folder, "test") || strings.HasPrefix(filepath.Base(a.folder), "fake") {
			continue // helpers of tests
		}
		uses, files := fileUses(t, filepath.Join("..", filepath.FromSlash(a.folder)))
		pairs := map[use]int{} // of files, however often one uses the other
		for u := range uses {
			pairs[u] = 1
		}
		for what, of := range map[string]map[use]int{"uses of one file by another": uses, "pairs of files": pairs} {
			total := sum(of)
			if total < fewUses {
				continue
			}
			seen++
			if order, upward := leastUpward(files, of); float64(upward) > mostUpward*float64(total) {
				t.Errorf("%s: %d of %d %s run upward, in the order %v:\n%s", a.folder, upward, total, what, order, runUp(order, of))
			}
		}
	}
	if seen < 30 {
		t.Errorf("%d figures of packages were measured", seen)
	}
}

// use is by one file of another's declarations.
type use struct{ by, of string }

// noImporter leaves out all other packages: what a file uses of those is no matter here.
type noImporter struct{}

func (noImporter) Import(string) (*types.Package, error) { return nil, errors.New("not read") }

// fileUses counts for each pair of files of a package how often one names what the other declares:
// types, functions, constants, variables, methods and fields.
func fileUses(t *testing.T, dir string) (uses map[use]int, files []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var parsed []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		parsed, files = append(parsed, file), append(files, filepath.Base(path))
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: noImporter{}, Error: func(error) {}} // of what was not read
	pkg, _ := config.Check(dir, set, parsed, info)
	uses = map[use]int{}
	for name, object := range info.Uses {
		if variable, ok := object.(*types.Var); object.Pkg() != pkg || ok && !variable.IsField() && object.Parent() != pkg.Scope() {
			continue // another package's, or a function's own
		}
		u := use{filepath.Base(set.Position(name.Pos()).Filename), filepath.Base(set.Position(object.Pos()).Filename)}
		if u.by != u.of {
			uses[u]++
		}
	}
	return uses, files
}

func sum(of map[use]int) (total int) {
	for _, n := range of {
		total += n
	}
	return total
}

// leastUpward looks for the order of files, from the top down, in which the fewest uses run upward:
// it moves files to where they do best while that helps, from some orders to begin with.
func leastUpward(files []string, uses map[use]int) (best []string, fewest int) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 10 {
		order := slices.Clone(files)
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for moved := true; moved; {
			moved = false
			for _, file := range files {
				var better bool
				order, better = moveToItsBest(order, file, uses)
				moved = moved || better
			}
		}
		if count := upward(order, uses); best == nil || count < fewest {
			best, fewest = order, count
		}
	}
	return best, fewest
}

// moveToItsBest moves one file to where the fewest uses run upward because of it. Past each
// other file on its way the uses between the two turn around.
func moveToItsBest(order []string, file string, uses map[use]int) ([]string, bool) {
	at := slices.Index(order, file)
	change, least, to := 0, 0, at
	for i := at + 1; i < len(order); i++ {
		if change += uses[use{file, order[i]}] - uses[use{order[i], file}]; change < least {
			least, to = change, i
		}
	}
	change = 0
	for i := at - 1; i >= 0; i-- {
		if change += uses[use{order[i], file}] - uses[use{file, order[i]}]; change < least {
			least, to = change, i
		}
	}
	if to == at {
		return order, false
	}
	return slices.Insert(slices.Delete(order, at, at+1), to, file), true
}

func upward(order []string, uses map[use]int) (n int) {
	floor := floors(order)
	for u, count := range uses {
		if floor[u.by] > floor[u.of] {
			n += count
		}
	}
	return n
}

func floors(order []string) map[string]int {
	floor := map[string]int{}
	for i, file := range order {
		floor[file] = i
	}
	return floor
}

func runUp(order []string, uses map[use]int) string {
	var all []string
	floor := floors(order)
	for u, count := range uses {
		if floor[u.by] > floor[u.of] {
			all = append(all, fmt.Sprintf("%4d  %s uses %s", count, u.by, u.of))
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return strings.Join(all, "\n")
}
