package objects

import (
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

func TestAKeyThatWritesChangesNoSettingUnlessItManages(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	file := lab.PrivateFile(t, `
- {access-key-id: writer, secret-access-key: writer-secret}
- {access-key-id: manager, secret-access-key: manager-secret, manage: true}
- {access-key-id: reader, secret-access-key: reader-secret, read-only: true}
`)
	for _, name := range []string{lab.OnVersitygw, lab.OnMinIO} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := lab.SharedStore(t, name)
			p := lab.Proxy(t, lab.ProxyOptions{Upstream: s, Args: []string{"--credentials", file}})
			writer, manager, reader := lab.ProxyAs(p, "writer", "writer-secret"), lab.ProxyAs(p, "manager", "manager-secret"), lab.ProxyAs(p, "reader", "reader-secret")
			bucket := lab.FreeName("managed")
			s3test.MakeBucket(t, writer, bucket)
			s3test.RoundTrip(t, writer, bucket, 1000)
			policy := []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::` + bucket + `/*"]}]}`)
			for _, c := range []struct {
				what   string
				at     lab.S3
				call   s3test.Call
				status int
			}{
				{"a policy by a writer", writer, s3test.Call{Method: "PUT", Path: "/" + bucket, Query: "policy", Body: policy}, 403},
				{"a policy by a reader", reader, s3test.Call{Method: "PUT", Path: "/" + bucket, Query: "policy", Body: policy}, 403},
				{"no policy yet", s.S3(), s3test.Call{Method: "GET", Path: "/" + bucket, Query: "policy"}, 404},
				{"a public object by a writer", writer, s3test.Call{Method: "PUT", Path: "/" + bucket + "/p", Body: []byte("x"), Headers: map[string]string{"x-amz-acl": "public-read"}}, 403},
				{"a private object by a writer", writer, s3test.Call{Method: "PUT", Path: "/" + bucket + "/p", Body: []byte("x"), Headers: map[string]string{"x-amz-acl": "private"}}, 200},
				{"a policy by a manager", manager, s3test.Call{Method: "PUT", Path: "/" + bucket, Query: "policy", Body: policy}, 204},
				{"the policy read by a reader", reader, s3test.Call{Method: "GET", Path: "/" + bucket, Query: "policy"}, 200},
				{"the policy taken away by a writer", writer, s3test.Call{Method: "DELETE", Path: "/" + bucket, Query: "policy"}, 403},
				{"the policy of the environment's key", p.S3(), s3test.Call{Method: "DELETE", Path: "/" + bucket, Query: "policy"}, 204},
				{"versions by a writer", writer, s3test.Call{Method: "PUT", Path: "/" + bucket, Query: "versioning", Body: []byte("<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>")}, 403},
				{"an object deleted by a writer", writer, s3test.Call{Method: "DELETE", Path: "/" + bucket + "/p"}, 204},
				{"the other object", writer, s3test.Call{Method: "DELETE", Path: "/" + bucket + "/k"}, 204},
				{"the bucket deleted by a writer", writer, s3test.Call{Method: "DELETE", Path: "/" + bucket}, 204},
			} {
				if a := c.call.Do(t, c.at); a.Status != c.status {
					t.Errorf("%s: %v %s, want %d", c.what, a, a.Body, c.status)
				}
			}
		})
	}
}

func TestALifecycleRuleSparesTheProxysObjects(t *testing.T) {
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	s := lab.SharedMinIO(t)
	state := lab.FreeName("state")
	s3test.MakeBucket(t, s.S3(), state)
	beside := lab.Proxy(t, lab.ProxyOptions{Upstream: s})
	apart := lab.Proxy(t, lab.ProxyOptions{Upstream: s, Args: []string{"--state-bucket", state}})
	rule := func(filter, action string) []byte {
		return []byte(`<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>` + filter + action + `</Rule></LifecycleConfiguration>`)
	}
	const days = "<Expiration><Days>3</Days></Expiration>"
	stored := func(bucket string) string {
		return string(s3test.Call{Method: "GET", Path: "/" + bucket, Query: "lifecycle"}.Do(t, s.S3()).Body)
	}
	for name, c := range map[string]struct {
		p      *lab.ProxyProcess
		doc    []byte
		stored string // in the store's document; "" if the proxy refuses
	}{
		"everything":            {beside, rule("<Filter></Filter>", days), ""},
		"the proxy's objects":   {beside, rule("<Filter><Prefix>.s3proxy/keys/</Prefix></Filter>", days), ""},
		"a prefix":              {beside, rule("<Filter><Prefix>logs/</Prefix></Filter>", days), "<Prefix>logs/</Prefix>"},
		"a tag":                 {beside, rule("<Filter><Tag><Key>stage</Key><Value>test</Value></Tag></Filter>", days), "<Key>stage</Key>"},
		"large objects":         {beside, rule("<Filter><ObjectSizeGreaterThan>7000000</ObjectSizeGreaterThan></Filter>", days), "7000000"},
		"old versions":          {beside, rule("<Filter></Filter>", "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>"), "NoncurrentDays"},
		"everything, and apart": {apart, rule("<Filter></Filter>", days), "<Days>3</Days>"},
	} {
		bucket := s3test.NewBucket(t, c.p.S3())
		a := s3test.Call{Method: "PUT", Path: "/" + bucket, Query: "lifecycle", Body: c.doc}.Do(t, c.p.S3())
		if c.stored == "" {
			if a.Status != 400 || !strings.Contains(string(a.Body), "--state-bucket") || !strings.Contains(stored(bucket), "NoSuchLifecycleConfiguration") {
				t.Errorf("%s: %v %s; the store has %s", name, a, a.Body, stored(bucket))
			}
			continue
		}
		if a.Status != 200 || !strings.Contains(stored(bucket), c.stored) {
			t.Errorf("%s: %v %s; the store has %s", name, a, a.Body, stored(bucket))
		}
	}
	if a := (s3test.Call{Method: "PUT", Path: "/" + state, Query: "lifecycle", Body: rule("<Filter></Filter>", days)}).Do(t, apart.S3()); a.Status != 400 {
		t.Errorf("everything in the state bucket: %v %s", a, a.Body)
	}
}
