package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Load reads flags, environment and file, in this order of precedence.
// Every mistake is one line.
func Load(flags *pflag.FlagSet) (*Config, error) {
	known := map[string]bool{}
	flags.VisitAll(func(f *pflag.Flag) { known[f.Name] = true })

	k := koanf.New("\x00") // no nesting: no setting's name holds this
	c := &Config{set: map[string]struct{}{}}
	note := func(names []string) {
		for _, name := range names {
			c.set[name] = struct{}{}
		}
	}

	fromEnv, path := environment(flags)
	if flags.Changed("config") {
		path, _ = flags.GetString("config")
	}
	if path != "" {
		f, err := readConfigFile(path)
		if err != nil {
			return nil, err
		}
		c.Path, c.Buckets = path, f.Buckets
		if f.Credentials != nil {
			if c.inline = f.Credentials.list != nil; !c.inline {
				f.Settings["credentials"] = f.Credentials.file
			}
		}
		for _, name := range slices.Sorted(maps.Keys(f.Settings)) {
			if name == "config" || !known[name] && !settingNames()[name] {
				return nil, Usagef("the configuration file %s: unknown setting %q; known are %s", path, name, strings.Join(append(slices.Sorted(maps.Keys(known)), "buckets"), ", "))
			}
			if _, nested := f.Settings[name].(map[string]any); nested {
				return nil, Usagef("the configuration file %s: %s has no settings below it", path, name)
			}
		}
		if err := k.Load(confmap.Provider(f.Settings, ""), nil); err != nil {
			return nil, Usagef("the configuration file %s: %s", path, oneLine(err))
		}
		note(k.Keys())
	}
	if err := checkEnvironment(); err != nil {
		return nil, err
	}
	if err := k.Load(confmap.Provider(fromEnv, ""), nil); err != nil {
		return nil, Usagef("the environment: %w", err)
	}
	note(slices.Sorted(maps.Keys(fromEnv)))
	if err := k.Load(posflag.Provider(flags, "\x00", k), nil); err != nil {
		return nil, Usagef("flags: %w", err)
	}
	flags.Visit(func(f *pflag.Flag) { note([]string{f.Name}) })
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if f := flags.Lookup(name); f.Value.Type() != "duration" {
			continue
		}
		if _, err := time.ParseDuration(k.String(name)); err != nil {
			return nil, Usagef("%s: %q is no duration such as 90s or 1h", name, k.String(name))
		}
	}
	if err := k.Unmarshal("", c); err != nil {
		return nil, Usagef("settings: %s", oneLine(err))
	}
	return c, c.validate()
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
