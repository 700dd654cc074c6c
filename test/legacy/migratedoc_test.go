package legacy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

var (
	inBackticks = regexp.MustCompile("`([^`]+)`")
	// aName is a flag, or what can be a setting or a command: two words at least, or one with a value.
	aName = regexp.MustCompile(`^(--[a-z][a-z0-9-]*|[a-z]+(?:-[a-z0-9]+)+|[a-z-]+:)`)
)

// features are those of the older program, and what its README wished for.
func features() []string {
	return []string{
		"PUT and POST", "GET and HEAD", "EncryptionKey", "no authentication", "`Address`", "`Port`", "AwsDomain", "`Region`", "`Protocol`", "`AccessKeyId`", "`SecretAccessKey`",
		"IAMRole", "RetryCount", "RetryDelay", "DisableKeepAlives", "InsecureTLS", "HTTP_PROXY", "CONNECT", "ETag", "`POST /?delete`", "-debug=true", "-debug=trace", "pprof", "Dockerfile",
		"multipart", "Signature Version 2", "chunked encoding", "real S3",
	}
}

// Everything that the older program could do has a row that says what takes its place, and what a row
// names is there.
func TestTheTableOfTheOlderProgramIsFullAndNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(lab.Path(t, "docs", "MIGRATE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n| the older program | here |\n|---|---|\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	example, err := os.ReadFile(lab.Path(t, "deploy", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	help, err := lab.RunS3proxy(t, "serve", "--help")
	if err != nil {
		t.Fatal(err)
	}
	commands, err := lab.RunS3proxy(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	old, names := "", 0
	for row := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(row), "|"), " | ")
		if len(cells) != 2 || strings.TrimSpace(cells[0]) == "" || len(strings.TrimSpace(cells[1])) < 8 {
			t.Errorf("a row with an empty cell: %s", row)
			continue
		}
		old += cells[0] + "\n"
		for _, quoted := range inBackticks.FindAllStringSubmatch(cells[1], -1) {
			name := strings.TrimSuffix(aName.FindString(quoted[1]), ":")
			switch {
			case name == "":
				continue
			case strings.HasPrefix(name, "--") && strings.Contains(help, " "+name+" "):
			case strings.Contains(commands, "\n  "+name+" "), regexp.MustCompile(`(?m)^[ #{-]*.*\b` + name + `: `).Match(example):
			default:
				t.Errorf("there is no %s: %s", name, row)
			}
			names++
		}
	}
	for _, feature := range features() {
		if !strings.Contains(old, feature) {
			t.Errorf("no row is about %s", feature)
		}
	}
	if names < 25 {
		t.Errorf("only %d names", names)
	}
}
