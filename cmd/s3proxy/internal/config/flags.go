package config

import (
	"time"

	"github.com/spf13/pflag"
)

const (
	defaultListen      = "127.0.0.1:8080"
	defaultAdminListen = "127.0.0.1:6060"
)

// StoreFlags are the settings that say where objects are and under which keys;
// every command that touches a store has them.
func StoreFlags(f *pflag.FlagSet) {
	f.String("config", "", "YAML `file` with these settings, by the same names")
	f.String("data-dir", "", "`folder` of the embedded store, the keyset and the client's credentials (default: s3proxy in the user's data folder)")
	f.String("upstream", "", "`URL` of the store; none: a store embedded in s3proxy, in the data folder")
	f.String("upstream-region", "us-east-1", "`region` that requests to the store are signed for; credentials are found as the AWS SDKs do")
	f.String("upstream-payload", "checked", "how bodies are streamed to the store: checked (unsigned chunks with a CRC32C), signed (signed chunks), unsigned (for stores that take neither)")
	f.String("upstream-addressing", "auto", "where requests to the store name the bucket: path, virtual (bucket.host), auto (virtual for amazonaws.com over https)")
	f.String("kms", "", "`URI` of the key that wraps new keys: localfile:///path/keyset.json, vault://MOUNT/KEY, awskms://alias/NAME (default, without an upstream: a keyset in the data folder)")
	f.StringSlice("kms-read", nil, "`URI` of a further key that may unwrap; repeatable")
	f.StringSlice("bucket-alias", nil, "`replica=origin`: the bucket is a copy of another, whose name its keys are bound to; repeatable")
	f.String("state-bucket", "", "`bucket` that keeps the proxy's own objects for all buckets of its store; none: each bucket keeps its own")
	f.String("state-prefix", "", "`prefix` in front of the proxy's own objects, .s3proxy/ (where a policy allows one prefix only); it ends in /")
	f.String("log-level", "info", "error, warn, info, debug, or trace (headers of each exchange, secrets masked)")
	f.String("log-format", "text", "text or json")
}

// WindowFlags are for the commands that make keys of objects.
func WindowFlags(f *pflag.FlagSet) {
	f.Duration("key-window", time.Hour, "how long one window key serves; 0: the KMS wraps the key of each object")
	f.Int("key-window-objects", 100_000, "how many objects one window key serves at most")
}

// PlaintextFlag is for the commands to which it matters that a bucket may have objects
// which are not encrypted.
func PlaintextFlag(f *pflag.FlagSet) {
	f.Bool("allow-plaintext-reads", false, "serve objects that s3proxy did not write as they are (the store could forge them)")
}

func ServeFlags(f *pflag.FlagSet) {
	StoreFlags(f)
	f.String("listen", defaultListen, "`address` for S3 clients")
	f.String("admin-listen", defaultAdminListen, "`address` for /healthz, /readyz and pprof; \"\" turns it off")
	f.Int("max-connections", 4096, "how many connections of clients are served at once; further ones wait until one ends")
	f.String("region", "us-east-1", "`region` that clients sign for")
	f.StringSlice("domain", nil, "`name` below which a host is a bucket, as in bucket.name; repeatable. Other hosts have the bucket in the path")
	WindowFlags(f)
	f.String("anonymous", "deny", "unsigned requests: deny, or store (sent on unsigned, the store judges)")
	f.String("etag", "opaque", "ETags that clients see: opaque (the store's, never an MD5), or md5 (of the plaintext, as S3 without encryption; LIST and HEAD may cost a further request)")
	f.String("range-check", "end", "what is seen before a range of an object is answered: end (the object's end, with one request to the store more for the first range), or segments (the range alone: parts of an upload that was refused may be read, if the store kept them)")
	f.String("sse", "own", "S3's server-side encryption (SSE-S3, SSE-KMS): own (answered by s3proxy, which encrypts anyway), or store (sent on: the store encrypts once more)")
	PlaintextFlag(f)
	f.String("credentials", "", "YAML `file` (mode 0600) with a list of clients' credentials, read again at SIGHUP")
	f.Duration("drain-timeout", 30*time.Second, "how long running requests may take to finish after SIGTERM")
}
