// Command thanos runs the acceptance test of Thanos' object storage, with its client for S3.
package main

import (
	"flag"
	"os"
	"testing"

	"github.com/go-kit/log"
	"github.com/thanos-io/objstore"
	"github.com/thanos-io/objstore/providers/s3"
	"gopkg.in/yaml.v2"
)

// Usage: thanos -test.v OBJSTORE.YML
func main() {
	acceptance := func(t *testing.T) {
		text, err := os.ReadFile(flag.Arg(0))
		if err != nil {
			t.Fatal(err)
		}
		var config struct{ Config any }
		if err := yaml.Unmarshal(text, &config); err != nil {
			t.Fatal(err)
		}
		if text, err = yaml.Marshal(config.Config); err != nil {
			t.Fatal(err)
		}
		bucket, err := s3.NewBucket(log.NewNopLogger(), text, "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		objstore.AcceptanceTest(t, bucket)
	}
	all := func(string, string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "acceptance", F: acceptance}}, nil, nil)
}
