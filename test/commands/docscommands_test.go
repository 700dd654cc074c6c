package commands

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

var (
	continuedLine = regexp.MustCompile(`\\\n\s*`)
	// inDocs matches a command in a code block or in a sentence; at the beginning of a line it may
	// also be the sentence itself.
	inDocs      = regexp.MustCompile("(?m)(^|`|sudo |^ +)(s3proxy [a-z][^`\n#|>]*)")
	commandWord = regexp.MustCompile(`^[a-z][a-z-]*$`)
)

// Each s3proxy command in the docs exists and has the flags that it is shown with. What the
// commands do is covered by their own tests; docs/QUICKSTART.md and docs/INSTALL.md are run as they
// are.
func TestTheCommandsInTheDocsAreThere(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(lab.Path(t, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := lab.RunS3proxy(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	helps, found := map[string]string{}, 0
	for _, page := range append(pages, lab.Path(t, "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inDocs.FindAllStringSubmatch(continuedLine.ReplaceAllString(string(text), " "), -1) {
			path, flags := parsed(m[2])
			first, _, _ := strings.Cut(path, " ")
			if path == "" || first == "help" || m[1] == "" && !strings.Contains(root, "\n  "+first+" ") {
				continue
			}
			help, known := helps[path]
			if !known {
				help, _ = lab.RunS3proxy(t, append(strings.Fields(path), "--help")...)
				helps[path] = help
			}
			if found++; !strings.Contains(help, "\n  s3proxy "+path) {
				t.Errorf("%s: there is no command %q", filepath.Base(page), path)
			}
			for _, flag := range flags {
				if !strings.Contains(help, " "+flag+" ") {
					t.Errorf("%s: %s has no %s: %s", filepath.Base(page), path, flag, m[2])
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("the docs have %d commands", found)
	}
}

// parsed splits a command line into the words that name the command, and its flags.
func parsed(line string) (path string, flags []string) {
	var words []string
	arguments := false
	for _, word := range strings.Fields(line)[1:] {
		switch {
		case strings.HasPrefix(word, "--"):
			name, _, _ := strings.Cut(word, "=")
			flags, arguments = append(flags, strings.TrimRight(name, ",.;:)")), true
		case arguments || !commandWord.MatchString(word):
			arguments = true
		default:
			words = append(words, word)
		}
	}
	return strings.Join(words, " "), flags
}
