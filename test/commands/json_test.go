package commands

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// With --json, every command prints one object per line, in kebab-case, with the fields documented
// in docs/COMMANDS.md, and nothing else on standard output.
func TestTheJSONOfAllCommandsIsAsDocumented(t *testing.T) {
	k := onStore(t, lab.SharedVersitygw(t))
	k.proxied(func(client *s3.Client) {
		k.put(client, "a", s3test.Content(1, 1000))
		k.put(client, `odd "name"`, s3test.Content(2, 1000))
		upload := s3test.Begin(t, client, k.bucket, "upload")
		upload.Send(client, 1, s3test.Content(3, 1000))
	})
	_, err := k.raw().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &k.bucket, Key: aws.String("broken"), Body: strings.NewReader("x"), Metadata: map[string]string{"s3proxy-format": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	s3url, sections := "s3://"+k.bucket, lab.DocFields(t, "COMMANDS.md")
	for _, c := range []struct {
		section string
		code    int
		args    []string
	}{
		{"version", 0, nil},
		{"keys list", 0, []string{"keys", "list", "--json"}},
		{"inspect", 0, []string{"inspect", s3url + "/a", "--json"}},
		{"keys rotate", 0, []string{"keys", "rotate", "--new-version", "--settle", "0", s3url, "--json"}},
		{"keys list", 0, []string{"keys", "list", "--json"}},
		{"keys rotate", 1, []string{"keys", "rotate", "--objects", "--dry-run", s3url, "--json"}},
		{"encrypt-existing", 1, []string{"encrypt-existing", "--dry-run", s3url, "--json"}},
		{"decrypt-existing", 1, []string{"decrypt-existing", "--dry-run", s3url, "--json"}},
		{"keys status", 1, []string{"keys", "status", "--objects", s3url, "--json"}},
		{"keys verify", 1, []string{"keys", "verify", s3url, s3url + "/a", "--json"}},
		{"keys verify", 1, []string{"keys", "verify", "s3://there-is-none", s3url + "/a", "--json"}},
		{"doctor", 0, []string{"doctor", "--bucket", k.bucket, "--json"}},
		{"gc", 0, []string{"gc", s3url, "--json"}},
		{"gc --records", 1, []string{"gc", "--records", s3url, "--json"}},
		{"keys rekey", 1, []string{"keys", "rekey", "--dry-run", s3url, "--json"}},
	} {
		out, errs, code := k.apart(c.args...)
		if c.section == "version" {
			out, errs, code = k.versionJSON()
		}
		if code != c.code || out == "" {
			t.Errorf("%q: exit code %d, not %d: %s%s", c.args, code, c.code, out, errs)
		}
		for line := range strings.Lines(out) {
			checkLine(t, c.section, line, sections[c.section], sections["JSON"])
		}
	}
}

func (k *keyed) versionJSON() (out, errs string, code int) {
	text, err := lab.RunS3proxy(k.t, "version", "--json")
	if err != nil {
		k.t.Fatal(err)
	}
	return text, "", 0
}

var kebab = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// checkLine compares a line of a command's output with its section of the page.
func checkLine(t *testing.T, section, line string, fields, common map[string]bool) {
	t.Helper()
	var shown map[string]any
	if err := json.Unmarshal([]byte(line), &shown); err != nil {
		t.Fatalf("%s: %v: %s", section, err, line)
	}
	for name := range shown {
		_, ofAll := common[name]
		if _, own := fields[name]; !own && !(ofAll && shown["bucket"] != nil) {
			t.Errorf("%s: %s is not documented: %s", section, name, line)
		}
	}
	for name, optional := range fields {
		if shown[name] == nil && !optional && shown["error"] == nil {
			t.Errorf("%s: %s is missing: %s", section, name, line)
		}
	}
	checkNames(t, shown)
}

func checkNames(t *testing.T, value any) {
	t.Helper()
	switch value := value.(type) {
	case []any:
		for _, one := range value {
			checkNames(t, one)
		}
	case map[string]any:
		for name, inner := range value {
			if !kebab.MatchString(name) {
				t.Errorf("%q is not kebab-case", name)
			}
			checkNames(t, inner)
		}
	}
}
