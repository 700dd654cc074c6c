package config

import (
	"strings"
	"testing"
)

func TestAnUnknownNameIsAnsweredWithTheNearest(t *testing.T) {
	for _, c := range []struct {
		name, file, variable, want string
	}{
		{"in the file", "regoin: x\n", "", "did you mean region?"},
		{"in the file, joined otherwise", "key_window: 1h\n", "", "did you mean key-window?"},
		{"in the file, without its own s", "bucket: {b-1: {etag: md5}}\n", "", "did you mean buckets?"},
		{"of a bucket", "buckets: {b-1: {etga: md5}}\n", "", "did you mean etag?"},
		{"of a store", "buckets: {b-1: {upstream: {adressing: path}}}\n", "", "did you mean addressing?"},
		{"of a key at a store", "buckets: {b-1: {upstream: {credentials: {profil: x}}}}\n", "", "did you mean profile?"},
		{"of a client", "credentials: [{acces-key-id: x}]\n", "", "did you mean access-key-id?"},
		{"in the environment", "", "S3PROXY_UPSTREAM_REGOIN", "did you mean S3PROXY_UPSTREAM_REGION?"},
		{"a secret in the environment", "", "S3PROXY_ACCESS_KEY", "did you mean S3PROXY_ACCESS_KEY_ID?"},
		{"of Vault in the environment", "", "S3PROXY_VAULT_ROLEID", "did you mean S3PROXY_VAULT_ROLE_ID?"},
		{"like none", "", "S3PROXY_XYZZY", "s3proxy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			if c.variable != "" {
				t.Setenv(c.variable, "x")
			}
			_, err := load(t, c.file)
			if err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("got %v, want an end of %q", err, c.want)
			}
		})
	}
}
