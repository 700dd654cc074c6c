package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// The older s3proxy was called as "s3proxy [-debug=true|trace] OLD.cfg".

// oldArgument answers the older program's command line, where a command should be; nil for another.
func oldArgument(arg string) error {
	info, err := os.Stat(arg)
	named := strings.HasSuffix(arg, ".cfg") || strings.HasSuffix(arg, ".json")
	if !named && (err != nil || !info.Mode().IsRegular() || filepath.Base(arg) == arg) {
		return nil
	}
	return config.Usagef("%q is no command. The configuration of the older s3proxy becomes one of this by: s3proxy import-config %s --out DIR; that of this one is for: s3proxy serve --config %s", arg, shellQuote(arg), shellQuote(arg))
}

// oldFlag answers the older program's only flag, of which name is all that stands behind its dashes;
// nil for another.
func oldFlag(name string) error {
	name, value, _ := strings.Cut(name, "=")
	if name != "debug" {
		return nil
	}
	level := "debug"
	if value == "trace" {
		level = value
	}
	return config.Usagef("-debug was a flag of the older s3proxy: s3proxy serve --log-level %s --config DIR/config.yaml does the same, and s3proxy import-config OLD.cfg --out DIR makes that file", level)
}
