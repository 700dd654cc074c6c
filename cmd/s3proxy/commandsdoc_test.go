package main

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/doctor"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/test/lab"
)

const commandsPage = "COMMANDS.md"

// jsonNames gives the names that a type has as JSON, and of each whether it may be left out.
func jsonNames(of reflect.Type) map[string]bool {
	names := map[string]bool{}
	for f := range of.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		embedded := f.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		switch {
		case f.Anonymous && name == "" && embedded.Kind() == reflect.Struct:
			maps.Copy(names, jsonNames(embedded))
		case f.IsExported() && name != "-":
			names[name] = strings.HasPrefix(options, "omit")
		}
	}
	return names
}

func TestTheDocumentationHasEveryFieldOfTheCommandsJSON(t *testing.T) {
	t.Parallel()
	sections := lab.DocFields(t, commandsPage)
	common := jsonNames(reflect.TypeFor[ops.Outcome]())
	for section, of := range map[string]reflect.Type{
		"keys rotate": reflect.TypeFor[ops.Rotated](), "encrypt-existing": reflect.TypeFor[ops.EncryptedExisting](), "decrypt-existing": reflect.TypeFor[ops.DecryptedExisting](),
		"keys rekey":  reflect.TypeFor[ops.Rekeyed](),
		"keys status": reflect.TypeFor[ops.KeyStatus](), "keys verify": reflect.TypeFor[ops.Verified](), "gc": reflect.TypeFor[ops.SweptUploads](),
		"gc --records": reflect.TypeFor[ops.SweptRecords](), "keys list": reflect.TypeFor[localfile.KeyInfo](), "inspect": reflect.TypeFor[inspection](),
		"version": reflect.TypeFor[build](), "Progress": reflect.TypeFor[progressLine](), "doctor": reflect.TypeFor[doctor.Result](),
	} {
		names := jsonNames(of)
		if _, aBucket := names["dry-run"]; aBucket {
			for name := range common {
				delete(names, name)
			}
		}
		if !maps.Equal(names, sections[section]) {
			t.Errorf("%s: the command has %v, the documentation %v", section, names, sections[section])
		}
	}
	inLists := jsonNames(reflect.TypeFor[ops.Item]())
	inLists["error"] = false
	maps.Copy(inLists, common)
	inLists["error"] = false // the last of the two tables has it
	if !maps.Equal(inLists, sections["JSON"]) {
		t.Errorf("of all commands: %v, the documentation %v", inLists, sections["JSON"])
	}
	page, err := os.ReadFile(lab.Path(t, "docs", commandsPage))
	if err != nil {
		t.Fatal(err)
	}
	for name := range jsonNames(reflect.TypeFor[ops.KEKUse]()) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("keys status: nothing says what %s is", name)
		}
	}
}

func TestTheDocumentationHasEveryCommandAndEveryExitCode(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(lab.Path(t, "docs", commandsPage))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range exitCodes {
		if row := fmt.Sprintf("\n| %d | %s |\n", c.code, c.meaning); !strings.Contains(string(page), row) {
			t.Errorf("the table has no row %s", row)
		}
	}
	known := lab.DocFields(t, commandsPage)["Commands"]
	var each func(*cobra.Command)
	each = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			each(sub)
		}
		name := strings.TrimPrefix(cmd.CommandPath(), "s3proxy ")
		if _, has := known[name]; !has && !cmd.HasSubCommands() && !cmd.Hidden && cmd.Runnable() {
			t.Errorf("the table has no command %q", name)
		}
	}
	each(rootCommand())
}
