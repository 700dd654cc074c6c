// Dashboards reads a dashboard of Grafana, strictly: a field that Grafana does not know, or that is
// of another type, is an error, in panels and queries, too.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards FILE")
		os.Exit(2)
	}
	plugins.RegisterDefaultPlugins()
	raw, err := os.ReadFile(os.Args[1])
	var read dashboard.Dashboard
	if err == nil {
		err = errors.Join(read.UnmarshalJSONStrict(raw), read.Validate())
	}
	if err != nil && err.Error() != "" { // the library gives empty lists of errors, too
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
