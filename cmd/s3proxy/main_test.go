package main

import "testing"

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
