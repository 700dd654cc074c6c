// Command s3proxy is an encrypting proxy between any S3 client and any S3 store. README.md
// shows how to start it, and docs/ has the rest.
//
// serve runs the proxy. The other commands need no running proxy: they reach the stores and
// keys that the same flags, environment and file configure. Exit codes are 0 for success, 1
// for a failure, and 2 for a mistake in what was asked. Output for people and JSON go to
// standard output, the log and progress to standard error; neither ever holds a key.
//
// How the files hang together, from the top:
//
//   - main.go: the root command, signals and exit codes
//   - one file per command: its flags and help, and how its report is printed. keys.go,
//     keysversions.go and keyspassphrase.go have those for keyset files. What the commands
//     over whole buckets do is in internal/ops; overbuckets.go opens what their plans need,
//     runs them and prints, and report.go, progress.go and target.go are common to them
//   - serve.go: the life of the proxy; listener.go, admin.go, logger.go and firststart.go are
//     its parts
//   - offline.go, files.go and inprocess.go: what encrypt and decrypt need
//   - stores.go and storekeys.go: a client for each store and a key for each URI, made once,
//     and what each bucket is served with; drivers.go lists the KMSs
//   - embedded.go starts the embedded store as a process of its own, storeprocess.go is that
//     process, and confine.go takes away what it does not need; storelayout.go and
//     storecheck.go keep keys out of its folders and find out whether they open its data
//
// Settings are read and checked in internal/config. This is the only package that knows the
// KMS drivers and the embedded store.
package main
