package main

import (
	"bytes"
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

func TestOnlyAReleaseHasAVersionNumber(t *testing.T) {
	for given, want := range map[string]string{
		"v1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3-rc.1", "v1.2.3+dirty": "devel", "(devel)": "devel", "": "devel",
		"v0.0.0-20261130035421-f4246470a1b2": "devel", "v1.2.4-0.20261130035421-f4246470a1b2+dirty": "devel", "v1.2.4-rc.1.0.20261130035421-f4246470a1b2": "devel",
	} {
		if got := buildOf(&debug.BuildInfo{Main: debug.Module{Version: given}}).Version; got != want {
			t.Errorf("%q: %s, want %s", given, got, want)
		}
	}
	at := buildOf(&debug.BuildInfo{GoVersion: "go1.26.8", Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "f424647"}, {Key: "vcs.modified", Value: "true"}}})
	if got := at.String(); got != "s3proxy devel (commit f424647, modified), object format 1, go1.26.8" {
		t.Error(got)
	}
}

func TestTheVersionIsAFlagACommandAndJSON(t *testing.T) {
	for _, c := range []struct {
		args []string
		json bool
	}{{[]string{"--version"}, false}, {[]string{"version"}, false}, {[]string{"version", "--json"}, true}} {
		var out bytes.Buffer
		root := rootCommand()
		root.SetArgs(c.args)
		root.SetOut(&out)
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		var got build
		if c.json {
			if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != thisBuild() || got.Go == "" || got.Format != 1 {
				t.Errorf("%v: %s, %v", c.args, out.String(), err)
			}
		} else if out.String() != thisBuild().String()+"\n" || !strings.HasPrefix(out.String(), "s3proxy ") {
			t.Errorf("%v: %q", c.args, out.String())
		}
	}
}
