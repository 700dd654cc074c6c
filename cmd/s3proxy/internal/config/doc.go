// Package config reads what a command of s3proxy is told, and checks it: flags, the
// environment, the configuration file with the settings of buckets, and the credentials of
// clients. It opens no store and no key.
//
// [Load] gives one [Config] for a command's flags. A setting has one name everywhere:
// --key-window, S3PROXY_KEY_WINDOW, and key-window in the file. Flags override the
// environment, and the environment overrides the file. The Config has been checked as a
// whole. Every mistake is a [UsageError] of one line that names the setting and never shows
// a value, which may be a secret in the wrong place. A variable or a name in the file that
// no command has is a mistake too: a misspelt setting must not silently have no effect.
//
// How the files hang together, from the top:
//
//   - load.go: the order of the sources; environment.go and file.go read one each, and
//     flags.go has the flags with their defaults and help, in groups that commands pick from
//   - config.go: the Config and what is derived from it; validate.go and buckets.go check it
//   - buckets.go: the settings of one bucket, and which keys a bucket has ([Config.KeyURIs])
//   - credentials.go: who a client's access key is ([Credentials]), read again when its file
//     changes; clientsources.go: where they may stand, clientlist.go: what one is;
//     clientkeys.go: the one that the first start makes
//   - aws.go: what AWS's own settings say of the store; nearest.go: the nearest name
//   - usage.go: the error that ends a command with exit code 2
//
// Of the KMS drivers it knows only names: the scheme of a key file, which is the default key,
// and the environment variables that belong to drivers.
package config
