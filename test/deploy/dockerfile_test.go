package deploy

import (
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// instruction is one of a Dockerfile, such as COPY --from=build /a /b.
type instruction struct {
	name  string
	flags []string // without --
	rest  string
}

func (i instruction) flag(name string) (value string, given bool) {
	for _, f := range i.flags {
		if value, given = strings.CutPrefix(f, name+"="); given {
			return value, true
		}
	}
	return "", false
}

var continued = regexp.MustCompile(`\\\n\s*`)

// readDockerfile gives the instructions of deploy/Dockerfile.
func readDockerfile(t *testing.T) (all []instruction) {
	t.Helper()
	raw, err := os.ReadFile(lab.Path(t, "deploy", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(continued.ReplaceAllString(string(raw), "")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		i := instruction{name: name, rest: strings.TrimSpace(rest)}
		for strings.HasPrefix(i.rest, "--") {
			flag, rest, _ := strings.Cut(i.rest, " ")
			i.flags, i.rest = append(i.flags, strings.TrimPrefix(flag, "--")), strings.TrimSpace(rest)
		}
		all = append(all, i)
	}
	return all
}

// buildContext lists what of the repository's top folder .dockerignore lets into an image's build.
func buildContext(t *testing.T) (names []string) {
	t.Helper()
	raw, err := os.ReadFile(lab.Path(t, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(lab.Path(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		ignored := false
		for line := range strings.Lines(string(raw)) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			pattern, again := strings.CutPrefix(line, "!")
			if strings.Contains(pattern, "/") {
				t.Fatalf(".dockerignore: %q is more than a name, which this test does not know", pattern)
			}
			if match, err := path.Match(pattern, entry.Name()); err != nil {
				t.Fatal(err)
			} else if match {
				ignored = !again
			}
		}
		if !ignored {
			names = append(names, entry.Name())
		}
	}
	return names
}
