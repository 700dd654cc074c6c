package config

import (
	"maps"
	"slices"
	"time"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Load reads flags, environment and file, in this order of precedence, and checks them as a
// whole. Every mistake is a [UsageError] of one line.
func Load(flags *pflag.FlagSet) (*Config, error) {
	k := koanf.New("\x00") // no nesting: no setting's name holds this
	c := &Config{set: map[string]struct{}{}}
	fromEnv, path := environment(flags)
	if flags.Changed("config") {
		path, _ = flags.GetString("config")
	}
	if path != "" {
		if err := c.loadFile(path, flags, k); err != nil {
			return nil, err
		}
	}
	if err := checkEnvironment(); err != nil {
		return nil, err
	}
	if err := k.Load(confmap.Provider(fromEnv, ""), nil); err != nil {
		return nil, Usagef("the environment: %w", err)
	}
	c.note(slices.Sorted(maps.Keys(fromEnv))...)
	if err := k.Load(posflag.Provider(flags, "\x00", k), nil); err != nil {
		return nil, Usagef("flags: %w", err)
	}
	flags.Visit(func(f *pflag.Flag) { c.note(f.Name) })
	if err := checkDurations(flags, k); err != nil {
		return nil, err
	}
	if err := k.Unmarshal("", c); err != nil {
		return nil, Usagef("settings: %s", oneLine(err))
	}
	c.takeAWSDefaults()
	return c, c.validate()
}

// note remembers which settings were given.
func (c *Config) note(names ...string) {
	for _, name := range names {
		c.set[name] = struct{}{}
	}
}

// loadFile reads the configuration file. One file serves all commands, so that it may have
// the settings of others.
func (c *Config) loadFile(path string, flags *pflag.FlagSet, k *koanf.Koanf) error {
	f, err := readConfigFile(path)
	if err != nil {
		return err
	}
	c.Path, c.Buckets = path, f.Buckets
	if f.Credentials != nil {
		if c.inline = f.Credentials.list != nil; !c.inline {
			f.Settings["credentials"] = f.Credentials.file
		}
	}
	known := append(settingNames(), namesOf(flags)...)
	for _, name := range slices.Sorted(maps.Keys(f.Settings)) {
		if name == "config" || !slices.Contains(known, name) {
			return Usagef("the configuration file %s: unknown setting %q%s", path, name, DidYouMean("", name, append(known, "buckets")))
		}
		if _, nested := f.Settings[name].(map[string]any); nested {
			return Usagef("the configuration file %s: %s takes a value, not further settings", path, name)
		}
	}
	if err := k.Load(confmap.Provider(f.Settings, ""), nil); err != nil {
		return Usagef("the configuration file %s: %s", path, oneLine(err))
	}
	c.note(k.Keys()...)
	return nil
}

// checkDurations names the setting whose value is not a duration; Unmarshal would not.
func checkDurations(flags *pflag.FlagSet, k *koanf.Koanf) error {
	for _, name := range namesOf(flags) {
		if f := flags.Lookup(name); f.Value.Type() != "duration" {
			continue
		}
		if _, err := time.ParseDuration(k.String(name)); err != nil {
			return Usagef("%s: %q is not a duration such as 90s or 1h", name, k.String(name))
		}
	}
	return nil
}
