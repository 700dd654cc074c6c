package config

import (
	"time"

	"github.com/spf13/pflag"
)

// The values of auth.
const (
	AuthSigV4 = "sigv4"
	AuthNone  = "none"
)

// The values of auth-v2.
const (
	AuthV2Off       = "off"
	AuthV2Presigned = "presigned"
	AuthV2All       = "all"
)

const (
	defaultListen      = "127.0.0.1:8080"
	defaultAdminListen = "127.0.0.1:6060"
)

// StoreFlags adds the settings that say where objects are and which keys encrypt them.
// Every command that touches a store has them.
func StoreFlags(f *pflag.FlagSet) {
	f.String("config", "", "YAML `file` that holds these settings, by the same names")
	f.String("data-dir", "", "`folder` that holds the embedded store, the keyset and the client's credentials; made when it is needed (default: s3proxy in the user's data folder)")
	f.String("upstream", "", "`URL` of the store (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the AWS profile's endpoint_url); without one, or with \"\", s3proxy uses its embedded store, in the data folder")
	f.String("upstream-region", "", "`region` to sign requests to the store for (default: AWS_REGION, AWS_DEFAULT_REGION, the AWS profile's, or us-east-1); credentials are found as the AWS SDKs find them")
	f.String("upstream-ca", "", "PEM `file` with the certificates that the store's must be signed by, instead of the system's (default: AWS_CA_BUNDLE or the AWS profile's ca_bundle)")
	f.String("upstream-cert", "", "PEM `file` with the certificate that s3proxy shows to the store; read again when it is renewed")
	f.String("upstream-key", "", "PEM `file` with the key of upstream-cert")
	f.String("upstream-access-key-id", "", "`ID` of the proxy's access key at the store (default: found as the AWS SDKs find credentials)")
	f.String("upstream-secret-access-key-file", "", "`file` with the secret of upstream-access-key-id")
	f.Bool("upstream-insecure", false, "do not verify the store's certificate: whoever is on the way can be the store")
	f.String("upstream-payload", "checked", "how to stream bodies to the store: checked (unsigned chunks with a CRC32C), signed (signed chunks), unsigned (for stores that accept neither)")
	f.String("upstream-signature", "v4", "the version of the signatures of requests to the store: v4, or v2 for stores that know no other (it covers no body, and bodies are sent as with upstream-payload unsigned)")
	f.String("upstream-addressing", "auto", "where requests to the store name the bucket: path, virtual (bucket.host), auto (virtual for amazonaws.com over https)")
	f.Duration("upstream-connect-timeout", 10*time.Second, "how long a connection to the store may take to come about, and a TLS handshake after it")
	f.Duration("upstream-answer-timeout", 5*time.Minute, "how long the store may take to begin its answer, once it has the whole request; S3 may take minutes to complete an upload")
	f.Duration("upstream-stall-timeout", 2*time.Minute, "how long the store may be silent in the middle of a body")
	f.Duration("kms-timeout", 30*time.Second, "how long a call of the KMS may take, with its repetitions")
	f.String("kms", "", "`URI` of the key that wraps (encrypts) new keys: localfile:///path/keyset.json, vault://MOUNT/KEY, awskms://alias/NAME (default, without an upstream: a keyset in the data folder)")
	f.StringSlice("kms-read", nil, "`URI` of a further key, which may only unwrap; repeatable")
	f.StringSlice("bucket-alias", nil, "`replica=origin`: bucket replica is a copy of bucket origin, and its keys are bound to that name; repeatable")
	f.String("state-bucket", "", "`bucket` that keeps the proxy's own objects for all buckets of its store; without one, each bucket keeps its own")
	f.String("state-prefix", "", "`prefix` in front of the proxy's own objects, .s3proxy/ (where a policy allows one prefix only); it ends in /")
	f.String("log-level", "info", "error, warn, info, debug, or trace (headers of each exchange, secrets masked)")
	f.String("log-format", "text", "text or json")
}

// WindowFlags adds the settings of the commands that make keys for objects.
func WindowFlags(f *pflag.FlagSet) {
	f.Duration("key-window", time.Hour, "how long one window key wraps the keys of a bucket's new objects; 0: the KMS wraps the key of each object")
	f.Int("key-window-objects", 100_000, "most objects whose keys one window key wraps")
}

// PlaintextFlag adds the setting of the commands that may meet objects which are not
// encrypted.
func PlaintextFlag(f *pflag.FlagSet) {
	f.Bool("allow-plaintext-reads", false, "serve objects that s3proxy did not write, as they are (the store could forge them)")
}

// ServeFlags adds all settings: those of serve are those of every command.
func ServeFlags(f *pflag.FlagSet) {
	StoreFlags(f)
	f.String("listen", defaultListen, "`address` for S3 clients")
	f.Bool("plaintext-listen", false, "others than this machine may reach listen without TLS, and no warning is needed (a TLS terminator or a mesh stands in front)")
	f.String("tls-cert", "", "PEM `file` with the certificate of listen, and those that lead to its authority: clients speak https, HTTP/2 too; read again when it changes, and at SIGHUP")
	f.String("tls-key", "", "PEM `file` with the key of tls-cert")
	f.String("tls-client-ca", "", "PEM `file` with the certificates that those of clients must be signed by; read again as tls-cert is")
	f.String("tls-client-auth", "require", "clients with tls-client-ca: require (each shows a certificate), or optional (one without signs its requests all the same)")
	f.String("admin-listen", defaultAdminListen, "`address` for a page of what the proxy does, pprof, /healthz and /readyz; \"\" turns it off")
	f.String("admin-token-file", "", "`file` with the token that the page and pprof ask for; without one they are served on a loopback address alone")
	f.String("metrics-listen", "", "`address` for /metrics (Prometheus), /healthz and /readyz, without a token, and for nothing else")
	f.String("audit-log", "", "`file` for the audit log: who asked for what, and which keys were used, as JSON lines; - for standard output")
	f.Int("metrics-buckets", 100, "how many buckets have metrics of their own; others are counted together")
	f.Int("max-connections", 4096, "how many client connections to serve at once; others wait until one ends")
	f.Int("upstream-attempts", 3, "how often to send a request to the store that changes nothing (GET, HEAD), while there is no answer or a 5xx; 1: never again")
	f.Int("upstream-retry-budget", 100, "how many repetitions may run ahead: each takes one, five successes give one back; 0: no bound")
	f.Duration("header-timeout", 30*time.Second, "how long a client may take for a TLS handshake, and for the headers of a request")
	f.Duration("idle-timeout", 2*time.Minute, "how long a connection may be idle between two requests: longer than a load balancer keeps it")
	f.Int("max-requests", 512, "how many requests to answer at once, of about 0.5 MiB each; more get 503 SlowDown, and clients try again; 0: no limit")
	f.Int("client-max-requests", 0, "the same of one access key; 0: no limit")
	f.Float64("client-rate", 0, "how many requests a second of one access key to answer; more get 503 SlowDown; 0: no limit")
	f.Int("client-burst", 0, "how many requests of one access key may come at one instant where client-rate is set (default: those of a second)")
	f.String("region", "", "the only `region` that clients may sign their requests for (default: any; they are told the region of the store)")
	f.StringSlice("domain", nil, "domain `name`: clients may address a bucket as the host bucket.name; repeatable. With other hosts the bucket is in the path")
	f.Bool("forward-proxy", false, "be the HTTP proxy of clients that keep the store's endpoint (HTTP_PROXY, HTTPS_PROXY): requests for the stores' hosts are handled here, CONNECT is a tunnel to connect-host")
	f.StringSlice("forward-host", nil, "a further `NAME` of the stores for forward-proxy, or NAME:PORT: requests for it and for hosts below it are handled here; repeatable")
	f.StringSlice("connect-host", nil, "`HOST:PORT` that CONNECT may lead to, *.NAME:PORT for all hosts below a name; repeatable (default: the stores themselves); none: nowhere")
	f.Int("max-tunnels", 256, "how many tunnels of CONNECT there may be at once; more get 503")
	f.Bool("intercept", false, "end the TLS of CONNECT to the stores' hosts here, with certificates that intercept-ca-cert signs: what goes through is then encrypted like all else")
	f.String("intercept-ca-cert", "", "PEM `file` with the certificate of an authority that the clients trust, for intercept; read again when it changes, and at SIGHUP")
	f.String("intercept-ca-key", "", "PEM `file` with the key of intercept-ca-cert")
	WindowFlags(f)
	f.String("auth", AuthSigV4, "who clients are: sigv4 (as they sign), or none (everybody who reaches the listener may do everything; for a listener on loopback)")
	f.String("auth-v2", AuthV2Presigned, "what clients may sign with Signature Version 2, which is of SHA-1 and covers no body: presigned (URLs, as boto3 makes them by default), all (requests and forms, too), or off")
	f.Bool("auth-none-anywhere", false, "let auth none be on a listener that other machines reach")
	f.String("anonymous", "deny", "unsigned requests: deny, or store (send them on unsigned, and let the store judge)")
	f.String("etag", "opaque", "ETags that clients see: opaque (the store's, never an MD5), or md5 (of the plaintext, as in S3 without encryption; the first LIST asks the store for each object)")
	f.String("range-check", "end", "what to check before a range of an object is answered: end (the object's end too, with one more request to the store for the first range), or segments (the pieces of 64 KiB in the range alone: clients may read parts of an upload that was refused, if the store kept them)")
	f.String("cors", "own", "browsers' pages of other sites: own (s3proxy keeps the rules of PutBucketCors and answers by them, on any store), or store (rules, preflights and headers are the store's)")
	f.String("sse", "own", "S3's server-side encryption (SSE-S3, SSE-KMS): own (s3proxy answers, since it encrypts anyway), or store (sent on: the store encrypts once more)")
	PlaintextFlag(f)
	f.String("credentials", "", "YAML `file` with a list of clients' credentials, or a folder with a file or a folder for each client; read again when it changes, and at SIGHUP")
	f.Duration("store-unready-after", time.Minute, "how long the store may not answer at all before /readyz says no; 0: that does not count")
	f.Duration("shutdown-delay", 0, "how long to serve on after SIGTERM while /readyz says no: as long as balancers take to notice")
	f.Duration("drain-timeout", 30*time.Second, "how long running requests may take to finish after SIGTERM")
}
