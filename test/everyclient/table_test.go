package everyclient

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

const (
	tableBegins = "<!-- make test-clients writes what follows -->\n"
	tableEnds   = "<!-- to here -->\n"
	tableHead   = "| client | version | what was run | direct | through the proxy | note |\n|---|---|---|---|---|---|\n"
)

// result is what came of running a client.
type result struct {
	version         string
	direct, through []string
}

func (r *result) add(p place, passed bool) {
	text := strings.NewReplacer("minio", "MinIO", "direct", "", "https", "", "v2", "").Replace(p.name)
	text = strings.Join(strings.Fields(text), " ")
	if !passed {
		text = "**fails**: " + text
	}
	if p.direct() {
		r.direct = append(r.direct, text)
		return
	}
	r.through = append(r.through, text)
}

// inOrder sorts what was passed, and says it shortly.
func inOrder(places []string) string {
	slices.Sort(places)
	places = slices.Compact(places)
	if len(places) == 0 {
		return "–"
	}
	return strings.Join(places, ", ")
}

func tablePage(t testing.TB) (path, before, table, after string) {
	t.Helper()
	path = lab.Path(t, "docs", "clients", "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegins)
	table, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", path)
	}
	return path, before, strings.TrimPrefix(table, tableHead), after
}

// writeTable replaces the rows of clients that were run, and keeps the others.
func writeTable(t *testing.T, results map[string]*result) {
	path, before, old, after := tablePage(t)
	var table strings.Builder
	table.WriteString(tableHead)
	for _, c := range clients() {
		switch r := results[c.name]; {
		case c.absent != "":
			fmt.Fprintf(&table, "| %s | – | not run | – | – | %s |\n", c.name, c.absent)
		case r != nil:
			fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s |\n", c.name, r.version, c.what, inOrder(r.direct), inOrder(r.through), c.note)
		default:
			for line := range strings.Lines(old) {
				if strings.HasPrefix(line, "| "+c.name+" |") {
					table.WriteString(line)
				}
			}
		}
	}
	if err := os.WriteFile(path, []byte(before+tableBegins+table.String()+tableEnds+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What make test-clients wrote is of today's clients, and of no other.
func TestTheTableHasEachClient(t *testing.T) {
	_, _, table, _ := tablePage(t)
	rows := map[string]string{}
	for line := range strings.Lines(table) {
		rows[strings.TrimSpace(strings.Split(line, "|")[1])] = line
	}
	for _, c := range clients() {
		row, there := rows[c.name]
		delete(rows, c.name)
		note := c.note
		if c.absent != "" {
			note = c.absent
		}
		if !there || !strings.HasSuffix(row, "| "+note+" |\n") || c.absent == "" && !strings.Contains(row, "| "+c.what+" |") {
			t.Errorf("docs/clients/README.md does not tell of %s: make test-clients", c.name)
		}
		if strings.Contains(row, "**fails**") && c.note == "" {
			t.Errorf("%s fails, and its note does not say why", c.name)
		}
	}
	for name := range rows {
		t.Errorf("docs/clients/README.md tells of %q, which is not run", name)
	}
}
