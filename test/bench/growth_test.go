package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// growthPart is a question about growth or settings that is answered by itself.
type growthPart struct {
	name, title string
	run         func(w *world, a *answers)
	table       func(a *answers) string
}

var growthParts = []growthPart{
	{"clients", "Growth in clients", clientGrowth, clientTable},
	{"kms", "Calls of the KMS", kmsGrowth, kmsTable},
	{"objects", "Growth in objects", objectGrowth, objectTable},
	{"settings", "What settings cost", settingCosts, settingTable},
	{"replicas", "Replicas on one core", replicaGrowth, replicaTable},
}

// answers are what a part has found, with the environment in which it did.
type answers struct {
	Environment environment `json:"environment"`
	Seconds     float64     `json:"seconds"` // that the part took
	Failed      bool        `json:"failed,omitempty"`
	Records     []record    `json:"records,omitempty"`
	KMS         []kmsCount  `json:"kms,omitempty"`
	Walks       []walkCost  `json:"walks,omitempty"`

	save func()
}

// BenchmarkS3Growth runs the parts that BENCH_PARTS matches. A part that fails leaves what it has
// found, and does not keep the others from running. Answers of earlier runs in the same folder
// stay.
func BenchmarkS3Growth(b *testing.B) {
	s := readSettings(b)
	if os.Getenv("BENCH_ROUNDS") == "" {
		s.rounds = 3
	}
	if os.Getenv("BENCH_SECONDS") == "" && !s.quick {
		s.length = 700 * time.Millisecond
	}
	wanted, err := regexp.Compile(os.Getenv("BENCH_PARTS"))
	if err != nil {
		b.Fatal(err)
	}
	g := readGrowth(s.out)
	for _, part := range growthParts {
		if !wanted.MatchString(part.name) {
			continue
		}
		b.Run(part.name, func(b *testing.B) {
			useMemory(b)
			a := &answers{Environment: environmentOf(b, s), save: func() { g.write(b, s.out) }}
			g[part.name] = a
			begun := time.Now()
			defer func() {
				a.Seconds, a.Failed = time.Since(begun).Seconds(), b.Failed()
				a.save()
			}()
			part.run(&world{b: b, settings: s}, a)
		})
	}
	fmt.Printf("\n%s\nwritten to %s\n", g.markdown(), filepath.Clean(s.out))
}

// growth is what all parts have found, by their names.
type growth map[string]*answers

func readGrowth(folder string) growth {
	g := growth{}
	if raw, err := os.ReadFile(filepath.Join(folder, "growth.json")); err == nil {
		if json.Unmarshal(raw, &g) != nil { // of another build
			return growth{}
		}
	}
	return g
}

func (g growth) write(b *testing.B, folder string) {
	b.Helper()
	raw, err := json.MarshalIndent(g, "", " ")
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	for name, text := range map[string]string{
		"growth.json": string(raw), "growth.md": g.markdown(),
		"clients.svg": g.clientFigure(), "objects.svg": g.objectFigure(), "settings.svg": g.settingFigure(),
	} {
		if err == nil && text != "" {
			err = os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644)
		}
	}
	if err != nil {
		b.Error(err)
	}
}

// markdown has the tables under the headings of docs/PERFORMANCE.md.
func (g growth) markdown() string {
	var text strings.Builder
	for _, part := range growthParts {
		a := g[part.name]
		if a == nil {
			continue
		}
		e := a.Environment
		fmt.Fprintf(&text, "### %s\n\nCommit %s, %s, %s, %d cores, Linux %s; begun %s, %.0f seconds.\n\n", part.title, e.Commit, e.Go, e.CPU, e.Cores, e.Kernel, e.Begun, a.Seconds)
		if a.Failed {
			text.WriteString("**Not to its end: the run failed.**\n\n")
		}
		text.WriteString(part.table(a) + "\n")
	}
	if m := g.model(); m != "" {
		text.WriteString("### How many cores\n\n" + m + "\n")
	}
	return text.String()
}

// BenchmarkS3GrowthReport draws tables and figures of an earlier run again.
func BenchmarkS3GrowthReport(b *testing.B) {
	s := readSettings(b)
	g := readGrowth(s.out)
	g.write(b, s.out)
	fmt.Print(g.markdown())
}
