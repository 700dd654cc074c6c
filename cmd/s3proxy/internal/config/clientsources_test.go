package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClientsOfTheEnvironmentAreNamedByTheirVariables(t *testing.T) {
	clean(t)
	for name, value := range map[string]string{
		"S3PROXY_CLIENT_BACKUP_ACCESS_KEY_ID": "backup", "S3PROXY_CLIENT_BACKUP_SECRET_ACCESS_KEY": "one", "S3PROXY_CLIENT_BACKUP_BUCKETS": "photos, archive",
		"S3PROXY_CLIENT_BILLING_SERVICE_ACCESS_KEY_ID": "billing", "S3PROXY_CLIENT_BILLING_SERVICE_SECRET_ACCESS_KEY": "two", "S3PROXY_CLIENT_BILLING_SERVICE_READ_ONLY": "true",
		"S3PROXY_CLIENT_2_ACCESS_KEY_ID": "admin", "S3PROXY_CLIENT_2_SECRET_ACCESS_KEY": "three", "S3PROXY_CLIENT_2_MANAGE": "true",
		"S3PROXY_CLIENT_BACKUP_SERVICE_HOST": "10.0.0.1", // a Service s3proxy-client-backup
	} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	c, err := load(t, "", "--data-dir", dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadCredentials(c)
	if err != nil || s.Own.ID != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	backup, _ := s.Find("backup")
	billing, _ := s.Find("billing")
	admin, _ := s.Find("admin")
	if backup.Secret != "one" || len(backup.Buckets) != 2 || backup.Buckets[1] != "archive" || backup.Manage || billing.Secret != "two" || !billing.ReadOnly || billing.Buckets != nil || admin.Secret != "three" || !admin.Manage {
		t.Error("they are not what the variables say")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("a key was made: %v, %v", entries, err)
	}
}

func TestAMistakeInAClientsVariableStopsTheStart(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"S3PROXY_CLIENT_A_SECRET_ACCESS_KEY":            {"S3PROXY_CLIENT_A_ACCESS_KEY_ID": "a"},
		"S3PROXY_CLIENT_A_ACCESS_KEY_ID":                {"S3PROXY_CLIENT_A_MANAGE": "true"},
		"buckets has no value":                          {"S3PROXY_CLIENT_A_ACCESS_KEY_ID": "a", "S3PROXY_CLIENT_A_SECRET_ACCESS_KEY": "verysecret", "S3PROXY_CLIENT_A_BUCKETS": ""},
		"read-only must be true or false":               {"S3PROXY_CLIENT_A_ACCESS_KEY_ID": "a", "S3PROXY_CLIENT_A_SECRET_ACCESS_KEY": "verysecret", "S3PROXY_CLIENT_A_READ_ONLY": "yes please"},
		"patterns":                                      {"S3PROXY_CLIENT_A_ACCESS_KEY_ID": "a", "S3PROXY_CLIENT_A_SECRET_ACCESS_KEY": "verysecret", "S3PROXY_CLIENT_A_BUCKETS": "b-*"},
		"S3PROXY_CLIENT_A_SECRET is not a setting":      {"S3PROXY_CLIENT_A_SECRET": "verysecret"},
		"S3PROXY_CLIENT_ACCESS_KEY_ID is not a setting": {"S3PROXY_CLIENT_ACCESS_KEY_ID": "a"},
	} {
		t.Run(want, func(t *testing.T) {
			clean(t)
			for name, value := range env {
				t.Setenv(name, value)
			}
			if _, err := load(t, ""); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "verysecret") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// folder lays out files; the name of one says in which folders it is.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	top := t.TempDir()
	for name, content := range files {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, path, content)
	}
	return top
}

func TestAFolderOfCredentialsHasAFileOrAFolderForEachClient(t *testing.T) {
	clean(t)
	dir := folder(t, map[string]string{
		"one.yaml":                        "access-key-id: one\nsecret-access-key: first\nread-only: true\n",
		"more":                            "- {access-key-id: two, secret-access-key: second}\n- {access-key-id: three, secret-access-key: third, buckets: []}\n",
		"four/access-key-id":              "four\n",
		"four/secret-access-key":          "fourth\n",
		"four/buckets":                    "photos\narchive\n",
		"four/manage":                     "false",
		"..2026_11_30/access-key-id":      "hidden\n",
		"four/..2026_11_30/access-key-id": "hidden\n",
	})
	c, err := load(t, "", "--credentials", dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := LoadCredentials(c)
	if err != nil {
		t.Fatal(err)
	}
	for id, secret := range map[string]string{"one": "first", "two": "second", "three": "third", "four": "fourth"} {
		if found, ok := s.Find(id); !ok || found.Secret != secret {
			t.Errorf("%s: found %v", id, ok)
		}
	}
	one, _ := s.Find("one")
	three, _ := s.Find("three")
	four, _ := s.Find("four")
	if !one.ReadOnly || three.Buckets == nil || len(three.Buckets) != 0 || len(four.Buckets) != 2 || four.Manage {
		t.Errorf("one %v, three %v, four %v", one.ReadOnly, three.Buckets, four.Buckets)
	}
}

func TestAMistakeInAFolderOfCredentialsIsNamed(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"did you mean buckets?":        {"a/access-key-id": "a", "a/secret-access-key": "verysecret", "a/bucket": "b-1"}, // it must not be all
		"buckets has no value":         {"a/access-key-id": "a", "a/secret-access-key": "verysecret", "a/buckets": "\n"},
		"access-key-id is missing":     {"a/secret-access-key": "verysecret"},
		"give secret-access-key":       {"a/access-key-id": "a"},
		"manage must be true or false": {"a/access-key-id": "a", "a/secret-access-key": "verysecret", "a/manage": "verysecret"},
		"a.yaml: ":                     {"a.yaml": "access-key: verysecret\n"},
		"used twice":                   {"a.yaml": "{access-key-id: a, secret-access-key: x}", "b.yaml": "{access-key-id: a, secret-access-key: y}"},
		"does not hold one line":       {"a/access-key-id": "a", "a/secret-access-key": ""},
		"does not hold a list":         {"access-key-id": "a"}, // the folder of one client
	} {
		t.Run(want, func(t *testing.T) {
			clean(t)
			dir := folder(t, files)
			c, err := load(t, "", "--credentials", dir)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := LoadCredentials(c); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "very") {
				t.Errorf("got %v", err)
			}
		})
	}
}
