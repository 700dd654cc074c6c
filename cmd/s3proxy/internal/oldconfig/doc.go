// Package oldconfig reads the configuration of the older s3proxy, a JSON file, and turns it into the
// files that this one is served with. It writes nothing itself.
//
//   - read.go: the JSON, read strictly: what the older program ignored is named with its place.
//   - old.go: what the fields mean, and the defaults that they had.
//   - translate.go: the new configuration file, the files with secrets, and what is to be said.
//
// No message shows a value: it may be a secret. The fields and their meaning are those of the source:
// https://github.com/alsarins/aws_s3 (s3proxy/src/config.go and main.go, up to version 1.0.15), and
// https://github.com/abustany/s3proxy (src/s3proxy/config.go), from which that comes.
package oldconfig
