package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
)

// The file of serve is that of the other commands, too, which have neither the flags of
// forward-proxy nor their defaults.
func TestOtherCommandsTakeTheFileOfAForwardProxy(t *testing.T) {
	clean(t)
	path := filepath.Join(t.TempDir(), "config.yaml")
	for content, want := range map[string]bool{"": true, "max-tunnels: 0\n": false} {
		if err := os.WriteFile(path, []byte("upstream: http://127.0.0.1:9\nforward-proxy: true\n"+content), 0o600); err != nil {
			t.Fatal(err)
		}
		flags := pflag.NewFlagSet("inspect", pflag.ContinueOnError)
		StoreFlags(flags)
		if err := flags.Parse([]string{"--config", path}); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(flags); (err == nil) != want {
			t.Errorf("%q: %v", content, err)
		}
	}
}
