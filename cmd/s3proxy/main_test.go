package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

func TestEveryCommandHasAnExampleAndRefusesStrayArguments(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"keys"}, {"keys", "create"}, {"keys", "list"}, {"inspect"}, {"encrypt"}, {"decrypt"}, {"version"}} {
		cmd, _, err := rootCommand().Find(args)
		if err != nil || cmd.Example == "" || cmd.Short == "" {
			t.Errorf("%v: %v, example %q", args, err, cmd.Example)
		}
		if got := run(t.Context(), append(args, "stray", "words")); got != exitUsage {
			t.Errorf("%v with stray arguments: exit code %d", args, got)
		}
	}
	if got := run(t.Context(), []string{"serve", "--no-such-flag"}); got != exitUsage {
		t.Errorf("unknown flag: exit code %d", got)
	}
}

func TestAnObjectsURLKeepsItsKeyAsItStands(t *testing.T) {
	bucket, key, err := parseObjectURL("s3://b/a//b%20 c/../ü")
	if err != nil || bucket != "b" || key != "a//b%20 c/../ü" {
		t.Errorf("%q %q %v", bucket, key, err)
	}
	for _, bad := range []string{"b/k", "s3://", "s3://b", "s3://b/", "s3:///k", "http://b/k"} {
		if _, _, err := parseObjectURL(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestAnUnknownCommandOrFlagIsAnsweredWithTheNearest(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"sevre"}, `unknown command "sevre": did you mean serve?`},
		{[]string{"encrypt_existing", "s3://b"}, "did you mean encrypt-existing?"},
		{[]string{"keys", "rotat", "s3://b"}, `unknown command "keys rotat": did you mean rotate?`},
		{[]string{"embedded-stor"}, "s3proxy --help"}, // nobody's to start
		{[]string{"serve", "--upstraem", "http://h"}, "did you mean --upstream?"},
		{[]string{"keys", "rotate", "--dryrun"}, "did you mean --dry-run?"},
		{[]string{"serve", "--xyzzy"}, "unknown flag: --xyzzy"},
		// The older program's command line.
		{[]string{"/etc/s3proxy.cfg"}, "s3proxy import-config /etc/s3proxy.cfg --out DIR; that of this one is for: s3proxy serve --config /etc/s3proxy.cfg"},
		{[]string{"-debug=true", "s3proxy.cfg"}, "s3proxy serve --log-level debug --config DIR/config.yaml does the same, and s3proxy import-config OLD.cfg --out DIR makes that file"},
		{[]string{"-debug=trace", "s3proxy.cfg"}, "s3proxy serve --log-level trace --config DIR/config.yaml does the same, and s3proxy import-config OLD.cfg --out DIR makes that file"},
	} {
		root := rootCommand()
		root.SetArgs(c.args)
		err := root.Execute()
		var usage config.UsageError
		if !errors.As(err, &usage) || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%v: %v, want a usage error with an end of %q", c.args, err, c.want)
		}
	}
}
