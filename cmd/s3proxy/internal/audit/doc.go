// Package audit writes who asked for what, and which keys were used for it: one JSON object a
// line (docs/OPERATIONS.md has the fields). Nothing in it is secret.
//
//   - file.go: the file, which may be moved away at any time.
//   - events.go: the events, and the keys whose calls are events.
//   - escape.go: what no terminal should obey, escaped; the JSON log uses it, too.
package audit
