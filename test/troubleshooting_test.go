package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	quoted = regexp.MustCompile("`([^`]+)`")
	verb   = regexp.MustCompile("%[-+#0-9.\\[\\]]*[a-zA-Z]|`[^`]*`?")
)

// messages are what the program can say: all texts in it, and those that nobody should meet
// without finding them in docs/TROUBLESHOOTING.md.
type messages struct {
	all     []string
	entries map[string]string // and where each is
}

func TestTheTroubleshootingPageQuotesWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/TROUBLESHOOTING.md")
	if err != nil {
		t.Fatal(err)
	}
	said := messages{entries: map[string]string{}}
	for _, folder := range []string{"cmd", "internal", "kms", "proxy", "envelope"} {
		said.read(t, filepath.Join("..", folder))
	}
	text := strings.Join(said.all, "\n")
	quotes := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, q := range quoted.FindAllStringSubmatch(cells[1], -1) {
			for piece := range strings.SplitSeq(q[1], "...") {
				if piece = strings.TrimSpace(piece); piece != "" && !strings.Contains(text, piece) {
					t.Errorf("nothing says %q", piece)
				}
			}
			quotes++
		}
	}
	if quotes < 80 {
		t.Errorf("the page quotes %d texts", quotes)
	}
	if len(said.entries) < 50 {
		t.Errorf("the program says %d things that need an entry", len(said.entries))
	}
	for entry, at := range said.entries {
		if begin := entry[:min(len(entry), 60)]; !strings.Contains(string(page), strings.TrimRight(begin, ". ")) {
			t.Errorf("docs/TROUBLESHOOTING.md has no entry for %q (%s)", entry, at)
		}
	}
}

// read looks at the texts in a folder's program.
func (m *messages) read(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				m.all = append(m.all, literal(n))
			case *ast.BasicLit:
				m.all = append(m.all, literal(n))
			case *ast.CallExpr:
				m.call(n, path)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// call takes the message of an error that a client cannot mend by itself, and that of a warning
// or an error in the log of a running proxy.
func (m *messages) call(call *ast.CallExpr, path string) {
	method, is := call.Fun.(*ast.SelectorExpr)
	if !is || len(call.Args) == 0 {
		return
	}
	switch of := lastName(method.X); method.Sel.Name {
	case "WithMessage":
		if of != "AccessDenied" && of != "SlowDown" && of != "ServiceUnavailable" && of != "InternalError" {
			return
		}
	case "Warn", "Error":
		ofCommands := strings.Contains(path, "/ops/") || strings.Contains(path, "allbuckets") || strings.Contains(path, "/audit/") || strings.Contains(path, "/tracing/")
		if !strings.EqualFold(of, "log") && of != "logger" || ofCommands {
			return
		}
	default:
		return
	}
	if said := verb.Split(literal(call.Args[0]), 2)[0]; len(said) > 8 {
		m.entries[strings.TrimSpace(said)] = path
	}
}

// lastName is the last name of a.b.c, or of a.b.c().
func lastName(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.Ident:
		return x.Name
	case *ast.CallExpr:
		return lastName(x.Fun)
	}
	return ""
}

// literal is a text, whole where it is put together from several; %s stands for what is computed in it.
func literal(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(x.Value)
		return text
	case *ast.BinaryExpr:
		return literal(x.X) + literal(x.Y)
	}
	return "%s"
}
