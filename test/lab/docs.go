package lab

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// DocBlocks returns the code blocks of a language in a page of docs/.
func DocBlocks(t testing.TB, page, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(Path(t, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, rest := range strings.Split(string(text), "\n```"+language+"\n")[1:] {
		block, _, ended := strings.Cut(rest, "\n```\n")
		if !ended {
			t.Fatalf("%s: a block of %s does not end", page, language)
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// VaultPolicy returns docs/KEYS.md's policy for a key: the one for serve or, with rotate, the one
// for the commands.
func VaultPolicy(t testing.TB, key string, rotate bool) string {
	t.Helper()
	blocks := DocBlocks(t, "KEYS.md", "hcl")
	if len(blocks) != 2 {
		t.Fatalf("docs/KEYS.md has %d Vault policies", len(blocks))
	}
	policy := blocks[0]
	if rotate {
		policy += "\n" + blocks[1]
	}
	return strings.ReplaceAll(policy, "/photos", "/"+key)
}

// WantAllowed checks that the IAM policy in docs/KEYS.md allows exactly the AWS KMS calls that were
// made.
func WantAllowed(t *testing.T, calls map[string]int) {
	t.Helper()
	var policy struct {
		Statement []struct {
			Effect string
			Action []string
		}
	}
	blocks := DocBlocks(t, "KEYS.md", "json")
	if len(blocks) != 1 || json.Unmarshal([]byte(blocks[0]), &policy) != nil || len(policy.Statement) != 1 {
		t.Fatalf("docs/KEYS.md has no IAM policy with one statement: %q", blocks)
	}
	allowed := map[string]bool{}
	for _, action := range policy.Statement[0].Action {
		allowed[strings.TrimPrefix(action, "kms:")] = true
	}
	used := map[string]bool{}
	for target := range calls {
		switch operation := strings.TrimPrefix(target, "TrentService."); operation {
		case "ReEncrypt":
			used["ReEncryptFrom"], used["ReEncryptTo"] = true, true
		default:
			used[operation] = true
		}
	}
	for action := range used {
		if !allowed[action] {
			t.Errorf("docs/KEYS.md does not allow %s, which was used", action)
		}
	}
	for action := range allowed {
		if !used[action] {
			t.Errorf("docs/KEYS.md allows %s, which was not used", action)
		}
	}
}

// documented matches a name in the first column of a table, with or without the mark for "may be
// missing".
var documented = regexp.MustCompile("`([^`]+)`( \\(–\\))?")

// DocFields returns the names in the first columns of a page's tables by section, and whether each
// of them may be missing.
func DocFields(t testing.TB, page string) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile(Path(t, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	sections, at := map[string]map[string]bool{}, ""
	for line := range strings.Lines(string(text)) {
		if title, is := strings.CutPrefix(line, "#"); is {
			at = strings.Trim(strings.TrimSpace(strings.TrimLeft(title, "#")), "`")
			sections[at] = map[string]bool{}
		}
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, found := range documented.FindAllStringSubmatch(cells[1], -1) {
				sections[at][found[1]] = found[2] != ""
			}
		}
	}
	return sections
}
