package everyclient

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// others are servers that keep what they have in S3.
func others() []client {
	return []client{
		{
			name: "distribution (the registry)", what: "a push in three requests, a mount, a pull by redirect, delete",
			version: func(t testing.TB) string {
				return lab.ClientVersion(t, "registry", "github.com/distribution/distribution/v3")
			},
			run: runRegistry, note: "[recipe](registry.md)",
		},
	}
}

func runRegistry(t *testing.T, p place) {
	address := lab.FreeAddress(t)
	block := lab.DocBlocks(t, "clients/registry.md", "yaml")[0]
	config := strings.NewReplacer("https://s3proxy.example.com", p.URL, "example-bucket", p.bucket(t), "127.0.0.1:5000", address,
		"the-clients-access-key", p.AccessKey, "the-clients-secret-key", p.SecretKey).Replace(block)
	path := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Start(t, "registry", lab.Client(t, "registry"), []string{"serve", path}, p.env(t.TempDir())).AwaitListening(t, address)
	client := &http.Client{Timeout: lab.AnswerWithin}
	for end := time.Now().Add(lab.AnswerWithin); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if resp, err := client.Get("http://" + address + "/v2/"); err == nil {
			resp.Body.Close()
			break
		}
	}
	push(t, "http://"+address+"/v2/", p.URL)
}

func absent() []client {
	return []client{
		{name: "Elasticsearch, OpenSearch", absent: "no packages to be had here. Their requests are sent by `test/clients`: [recipe](elasticsearch.md)"},
		{name: "Hadoop S3A, Spark, AWS SDKs for Java, AWS CRT", absent: "no packages to be had here. Their requests are sent by `test/clients`: [recipe](spark.md)"},
		{name: "DuckDB httpfs", absent: "its extensions cannot be had here. Its requests are sent by `test/clients`: [recipe](analytics.md)"},
		{name: "Velero", absent: "needs a Kubernetes cluster. The requests of its plugin are sent by `test/clients`: [recipe](velero.md)"},
	}
}
