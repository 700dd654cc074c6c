package everyclient

import (
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// libraries are what programs are made with.
func libraries() []client {
	node := func(name, module, what, program, note string) client {
		return client{
			name: name, what: what, note: "npm's " + module + note,
			version: func(t testing.TB) string { return lab.NodeVersion(t, module) },
			run:     func(t *testing.T, p place) { runNode(t, p, program) },
		}
	}
	js := node("AWS SDK for JavaScript", "@aws-sdk/client-s3", "Upload in parts, ranges, a presigned PUT, a form of createPresignedPost, If-None-Match", "sdk.mjs", "")
	js.except = map[string]string{"versitygw direct": "it does not replace `${filename}` in forms"}
	return []client{
		{
			name: "boto3", what: "put, upload_file in parts, ranges, lists, copies, download_file; presigned URLs and forms as it signs them by default",
			version: func(t testing.TB) string {
				return said(t, lab.NeedBoto3(t, lab.Newest), "-c", "import boto3; print(boto3.__version__)")
			},
			run: runBoto3, note: "URLs are run through the proxy only: 1.43 signs them with version 2, which versitygw does not know and MinIO refuses; forms of version 2 need `--auth-v2 all`, and are run with version 4",
		},
		{
			name: "libcloud", what: "drivers S3 and MinIO: upload (compares ETag and MD5), stream in parts, ranges, list, download, delete",
			version: func(t testing.TB) string { return lab.Packaged(t, "python3-libcloud") },
			run:     func(t *testing.T, p place) { runPython(t, p, "libcloud_client.py") }, quick: true,
			except: map[string]string{"versitygw direct": "the driver for MinIO finds another ETag than the MD5"},
		},
		js,
		node("OpenDAL", "opendal", "write, in parts too, ifNotExists, ranges, list, copy, a presigned read", "opendal.mjs", ""),
		node("LanceDB", "@lancedb/lancedb", "a table, ten commits of two writers at once, a query: conditional writes of Rust's object_store", "lancedb.mjs", "; [recipe](analytics.md)"),
		node("ClickHouse", "chdb", "ClickHouse's s3(): writes in parts, a glob over many files, schema inference, a MergeTree on a disk in S3", "chdb.mjs", "; [recipe](analytics.md)"),
		{
			name: "gocloud.dev/blob", what: "write in parts, ranges, attributes, copy, list, a signed URL, delete",
			version: func(t testing.TB) string { return lab.ClientVersion(t, "gocloud", "gocloud.dev") },
			run: func(t *testing.T, p place) {
				lab.MustRun(t, p.env(t.TempDir()), lab.Client(t, "gocloud"), p.URL, p.bucket(t))
			},
		},
		{
			name: "Thanos objstore", what: "its acceptance test",
			version: func(t testing.TB) string { return lab.ClientVersion(t, "thanos", "github.com/thanos-io/objstore") },
			run:     runThanos, note: "[recipe](observability.md)",
		},
		{
			name: "minio-go", what: "its functional tests: 100 of 106 pass",
			version: func(t testing.TB) string { return lab.ClientVersion(t, "miniogo", "github.com/minio/minio-go/v7") },
			run:     runMinioGo, places: []string{"minio direct", "minio md5 v2", "minio opaque v2"}, note: "with `--auth-v2 all`, for a fifth of them; what fails stands, with reasons, in `test/everyclient/miniogo_test.go`",
		},
	}
}

func runNode(t *testing.T, p place, program string) {
	t.Helper()
	packages, bucket := lab.Node(t), p.bucket(t)
	page := ""
	switch program {
	case "chdb.mjs":
		page = lab.DocBlocks(t, "clients/analytics.md", "sql")[0]
	case "lancedb.mjs":
		page = lab.DocBlocks(t, "clients/analytics.md", "js")[0]
	}
	if p.ca == "" {
		page = strings.Replace(page, "region:", `allowHttp: "true", region:`, 1)
	}
	// Modules are looked for beside the program.
	script := "ln -s " + packages + "/node_modules node_modules; cp " + lab.Path(t, "test", "everyclient", program) + " .; node " + program + " \"$S3\" example-bucket"
	p.script(t, script, bucket, programs{"node": lab.Need(t, "node")}, "S3="+p.URL, "PAGE="+p.here(page, bucket, ""))
}

func runThanos(t *testing.T, p place) {
	config := p.here(lab.DocBlocks(t, "clients/observability.md", "yaml")[0], p.bucket(t), "")
	if p.ca == "" {
		config += "\n  insecure: true\n"
	}
	out := lab.MustRun(t, p.env(t.TempDir()), lab.Client(t, "thanos"), "-test.v", lab.PrivateFile(t, config))
	if !strings.Contains(out, "--- PASS: acceptance") {
		t.Errorf("it printed %s", out)
	}
}

func runPython(t *testing.T, p place, program string, args ...string) {
	t.Helper()
	lab.MustRun(t, p.env(t.TempDir()), "/usr/bin/python3", append([]string{program, p.URL, p.bucket(t)}, args...)...)
}

func runBoto3(t *testing.T, p place) {
	python := lab.NeedBoto3(t, lab.Newest)
	run := func(program string, args ...string) {
		t.Helper()
		lab.MustRun(t, p.env(t.TempDir()), python, append([]string{program, p.URL, p.bucket(t)}, args...)...)
	}
	if !p.direct() { // both are strict where stores are not: test/clients says how
		run("../clients/boto3_client.py", "20000000")
		run("../clients/boto3_post.py")
		run("../clients/boto3_v2.py", "presigned")
	}
	run("boto3_parts.py")
}
