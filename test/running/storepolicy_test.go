package running

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// policy is one of the policies in docs/STORE-POLICY.md.
type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Effect   string
	Action   actions
	Resource string
}

// actions are a single action or a list.
type actions []string

func (a *actions) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = actions{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// storePolicy reads the page's nth policy, with other buckets in place of the page's.
func storePolicy(t *testing.T, n int, photos, states string) policy {
	t.Helper()
	blocks := lab.DocBlocks(t, "STORE-POLICY.md", "json")
	if len(blocks) != 3 {
		t.Fatalf("docs/STORE-POLICY.md has %d policies", len(blocks))
	}
	var p policy
	if err := json.Unmarshal([]byte(strings.NewReplacer(":photos", ":"+photos, "/photos/", "/"+photos+"/", ":states", ":"+states).Replace(blocks[n])), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p policy) text(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// allowing returns the policy with one more statement.
func (p policy) allowing(resource string, more ...string) policy {
	p.Statement = append(slices.Clone(p.Statement), statement{"Allow", more, resource})
	return p
}

// withoutEach calls do with the policy less one of its actions, for each action of each statement.
func (p policy) withoutEach(do func(action string, less policy)) {
	for i, s := range p.Statement {
		for j, action := range s.Action {
			less := policy{p.Version, slices.Clone(p.Statement)}
			less.Statement[i].Action = slices.Delete(slices.Clone(s.Action), j, j+1)
			if len(less.Statement[i].Action) == 0 {
				less.Statement = slices.Delete(less.Statement, i, i+1)
			}
			do(action+" on "+s.Resource, less)
		}
	}
}

// policyClient does what a proxy's clients do, in one bucket.
type policyClient struct {
	*s3.Client
	t      *testing.T
	bucket string
}

func (c policyClient) put(key, tags string) error {
	in := &s3.PutObjectInput{Bucket: &c.bucket, Key: &key, Body: strings.NewReader("text")}
	if tags != "" {
		in.Tagging = &tags
	}
	_, err := c.PutObject(c.t.Context(), in)
	return err
}

func (c policyClient) get(key string, version *string) error {
	out, err := c.GetObject(c.t.Context(), &s3.GetObjectInput{Bucket: &c.bucket, Key: &key, VersionId: version})
	if err != nil {
		return err
	}
	return out.Body.Close()
}

// everyday does a proxy's everyday work, until its first failure.
func (c policyClient) everyday() error {
	ctx, b := c.t.Context(), &c.bucket
	for _, work := range []struct {
		name string
		do   func() error
	}{
		{"put", func() error { return c.put("small", "") }},
		{"get", func() error { return c.get("small", nil) }},
		{"get what is not there", func() error {
			if err := c.get("none", nil); s3test.Code(err) != "NoSuchKey" {
				return fmt.Errorf("no NoSuchKey: %w", err)
			}
			return nil
		}},
		{"list", func() error { _, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: b}); return err }},
		{"copy", func() error {
			_, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: aws.String("copy"), CopySource: aws.String(c.bucket + "/small")})
			return err
		}},
		{"upload in parts", func() error {
			return s3test.PutParts(ctx, c.Client, &s3.CreateMultipartUploadInput{Bucket: b, Key: aws.String("parts")}, [][]byte{s3test.Content(1, 5<<20), s3test.Content(2, 1000)})
		}},
		{"abort an upload", func() error {
			u, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: b, Key: aws.String("aborted")})
			if err != nil {
				return err
			}
			if _, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: b, Key: u.Key, UploadId: u.UploadId}); err != nil {
				return err
			}
			_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: b, Key: u.Key, UploadId: u.UploadId})
			return err
		}},
		{"list uploads", func() error {
			_, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: b})
			return err
		}},
		{"delete", func() error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: aws.String("copy")})
			return err
		}},
		{"put, get and delete CORS rules", func() error {
			rules := &types.CORSConfiguration{CORSRules: []types.CORSRule{{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET"}}}}
			if _, err := c.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: b, CORSConfiguration: rules}); err != nil {
				return err
			}
			if _, err := c.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: b}); err != nil {
				return err
			}
			_, err := c.DeleteBucketCors(ctx, &s3.DeleteBucketCorsInput{Bucket: b})
			return err
		}},
		{"delete several", func() error {
			out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: b, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("parts")}}}})
			if err == nil && len(out.Errors) > 0 {
				err = errors.New(aws.ToString(out.Errors[0].Code))
			}
			return err
		}},
	} {
		if err := work.do(); err != nil {
			return fmt.Errorf("%s: %w", work.name, err)
		}
	}
	return nil
}

// alike reports whether MinIO does not ask for an action, as docs/STORE-POLICY.md says.
func alike(action string) bool {
	for _, of := range []string{"s3:ListBucketVersions", "s3:GetObjectVersion", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"} {
		if strings.HasPrefix(action, of+" ") {
			return true
		}
	}
	return false
}

type policyTest struct {
	t              *testing.T
	store          *lab.Store
	keyset         string
	photos, states string
}

func newPolicyTest(t *testing.T) policyTest {
	t.Helper()
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	at := policyTest{t: t, store: lab.SharedMinIO(t), photos: lab.FreeName("photos"), states: lab.FreeName("states")}
	at.keyset, _ = lab.NewKeyset(t)
	s3test.MakeBucket(t, at.store.S3(), at.photos)
	s3test.MakeBucket(t, at.store.S3(), at.states)
	return at
}

// client starts a proxy whose user at the store has the policy.
func (at policyTest) client(p policy, args ...string) policyClient {
	at.t.Helper()
	proxy := lab.Proxy(at.t, lab.ProxyOptions{Upstream: at.store, Args: append([]string{"--kms", at.keyset}, args...), Env: lab.MinIOUser(at.t, at.store, p.text(at.t))})
	return policyClient{s3test.Once(at.t, proxy.S3()), at.t, at.photos}
}

func (at policyTest) command(p policy, args ...string) (string, error) {
	at.t.Helper()
	args = append(slices.Clone(args), "s3://"+at.photos, "--kms", at.keyset, "--upstream", at.store.URL)
	return lab.RunBoth(at.t, lab.Env(lab.MinIOUser(at.t, at.store, p.text(at.t))...), lab.S3proxy(at.t), args...)
}

func TestAProxyDoesItsWorkWithTheDocumentedPolicyAndNotWithLess(t *testing.T) {
	at := newPolicyTest(t)
	for n, args := range map[int][]string{0: nil, 2: {"--state-bucket", at.states}} {
		whole := storePolicy(t, n, at.photos, at.states)
		if err := at.client(whole, args...).everyday(); err != nil {
			t.Errorf("policy %d: %v", n, err)
		}
		whole.withoutEach(func(action string, less policy) {
			err := at.client(less, args...).everyday()
			if (err == nil) != alike(action) {
				t.Errorf("policy %d without %s: %v", n, action, err)
			}
		})
		for _, command := range [][]string{{"keys", "status"}, {"keys", "verify"}, {"keys", "rotate"}, {"gc"}} {
			if out, err := at.command(whole, append(command, args...)...); err != nil {
				t.Errorf("policy %d: %v: %v\n%s", n, command, err, out)
			}
		}
	}
}

func TestTheCommandsThatWriteObjectsNeedTheDocumentedPolicyAndNotLess(t *testing.T) {
	at := newPolicyTest(t)
	everyday, further := storePolicy(t, 0, at.photos, at.states), storePolicy(t, 1, at.photos, at.states)
	// MinIO's own actions, as the page says.
	versioning, objects := &further.Statement[0], &further.Statement[1]
	versioning.Action = append(versioning.Action, "s3:GetBucketPolicy")
	objects.Action = slices.DeleteFunc(objects.Action, func(action string) bool { return action == "s3:GetObjectAcl" })
	both := func(more policy) policy {
		return policy{everyday.Version, append(slices.Clone(everyday.Statement), more.Statement...)}
	}
	plain := func(key string) {
		_, err := s3test.SDK(t, at.store.S3()).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &at.photos, Key: &key, Tagging: aws.String("a=b"), Body: strings.NewReader("text")})
		if err != nil {
			t.Fatal(err)
		}
	}
	further.withoutEach(func(action string, less policy) {
		plain("of " + filepath.Base(action))
		out, err := at.command(both(less), "encrypt-existing")
		if (err == nil) != alike(action) {
			t.Errorf("encrypt-existing without %s: %v\n%s", action, err, out)
		}
	})
	for _, command := range [][]string{
		{"encrypt-existing"}, {"keys", "rotate", "--new-version", "--objects"}, {"gc", "--records"}, {"keys", "verify"}, {"keys", "rekey", "--new-version", "--settle", "0s"},
	} {
		if out, err := at.command(both(further), command...); err != nil {
			t.Errorf("%v: %v\n%s", command, err, out)
		}
	}
}

func TestWhatClientsDoBesidesNeedsTheDocumentedActions(t *testing.T) {
	at := newPolicyTest(t)
	everyday := storePolicy(t, 0, at.photos, at.states)
	made := at.photos + "-made"
	bucket, objects := "arn:aws:s3:::"+at.photos, "arn:aws:s3:::"+at.photos+"/*"
	key, ctx := aws.String("small"), t.Context()
	tags := &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}
	for _, c := range []struct {
		resource string
		do       func(c policyClient) error
		actions  []string
	}{
		{"arn:aws:s3:::" + made, func(c policyClient) error {
			_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &made})
			return err
		}, []string{"s3:CreateBucket"}},
		{"arn:aws:s3:::" + made, func(c policyClient) error {
			_, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &made})
			return err
		}, []string{"s3:DeleteBucket"}},
		{objects, func(c policyClient) error {
			_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &at.photos, Key: key, Tagging: tags})
			return err
		}, []string{"s3:PutObjectTagging"}},
		{objects, func(c policyClient) error {
			_, err := c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &at.photos, Key: key})
			return err
		}, []string{"s3:GetObjectTagging"}},
		{objects, func(c policyClient) error {
			_, err := c.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: &at.photos, Key: key})
			return err
		}, []string{"s3:DeleteObjectTagging"}},
		{objects, func(c policyClient) error {
			_, err := c.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: &at.photos, Key: key, ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesObjectSize}})
			return err
		}, []string{"s3:GetObjectAttributes"}},
		{objects, func(c policyClient) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &at.photos, Key: key, VersionId: aws.String("null")})
			return err
		}, []string{"s3:DeleteObjectVersion"}},
		{bucket, func(c policyClient) error {
			_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &at.photos, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
			return err
		}, []string{"s3:PutBucketVersioning"}},
	} {
		less, more := at.client(everyday), at.client(everyday.allowing(c.resource, c.actions...))
		if err := more.put("small", ""); err != nil {
			t.Fatal(err)
		}
		if err := c.do(less); s3test.Code(err) != "AccessDenied" {
			t.Errorf("without %s: %v", c.actions, err)
		}
		if err := c.do(more); err != nil {
			t.Errorf("with %s: %v", c.actions, err)
		}
	}
}
