package oldconfig

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Names of files in the new folder.
const (
	ConfigName = "config.yaml"
	KeysetName = "keyset.json"
)

// New is what takes the older configuration's place: files of one folder, beside a keyset that is to
// be made.
type New struct {
	Listen  string
	Config  []byte            // of ConfigName; it has no secrets
	Secrets map[string]string // by the names of the files that hold them
	Notes   []string          // what an operator should know, a line each
}

// translation is the work on one configuration.
type translation struct {
	*Old
	dir   string // absolute
	made  *New
	lines strings.Builder
}

// Translate turns the configuration into files of a folder, whose absolute path is dir. onLoopback
// says whether only this machine reaches the address that is listened on.
func (o *Old) Translate(dir string, onLoopback func(listen string) bool) *New {
	t := &translation{Old: o, dir: dir, made: &New{Listen: net.JoinHostPort(o.Address, strconv.FormatInt(o.Port, 10)), Secrets: map[string]string{}}}
	t.access(onLoopback(t.made.Listen))
	t.defaultStore()
	for _, name := range t.names() {
		t.bucket(name)
	}
	t.tellOfBuckets()
	t.tellOfSettings()
	head := "# Made by s3proxy import-config from the configuration of the older s3proxy. What is different:\n"
	for _, note := range t.made.Notes {
		head += "# - " + note + "\n"
	}
	t.made.Config = []byte(head + "\n" + t.lines.String())
	return t.made
}

func (t *translation) names() []string { return slices.Sorted(maps.Keys(t.Buckets)) }

func (t *translation) note(format string, args ...any) {
	t.made.Notes = append(t.made.Notes, fmt.Sprintf(format, args...))
}

// set writes a setting, indented by so many levels.
func (t *translation) set(level int, name string, value any) {
	text, err := yaml.Marshal(value)
	if err != nil {
		panic(err) // texts, numbers and lists of texts are always encoded
	}
	fmt.Fprintf(&t.lines, "%s%s: %s\n", strings.Repeat("  ", level), name, strings.TrimSpace(string(text)))
}

// listOf is a list of one text, on one line.
func listOf(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: text}}}
}

func (t *translation) open(level int, name string) {
	text, _ := yaml.Marshal(name)
	fmt.Fprintf(&t.lines, "%s%s:\n", strings.Repeat("  ", level), strings.TrimSpace(string(text)))
}

// secret keeps a secret for a file of its own, and gives its path.
func (t *translation) secret(bucket, kind, value string) string {
	name := bucket + "." + kind
	t.made.Secrets[name] = value + "\n"
	return filepath.Join(t.dir, name)
}

// access says who may come, and how.
func (t *translation) access(onLoopback bool) {
	t.set(0, "listen", t.made.Listen)
	t.set(0, "auth", "none")
	if onLoopback {
		t.note("auth is none, as it was: whoever reaches %s may read and change everything. Credentials for clients: docs/SETTINGS.md", t.made.Listen)
	} else {
		t.note("other machines reach %s, and auth is none: serve does not start until clients have credentials (then remove auth), or until auth-none-anywhere: true says that everybody there may read and delete everything", t.made.Listen)
	}
	t.set(0, "forward-proxy", true) // clients that have the older program for their HTTP proxy
	if t.onAWS() {
		t.set(0, "forward-host", listOf(oldDomain))
	}
	t.set(0, "connect-host", listOf("none"))
	t.note("clients that have it for their HTTP proxy go on (forward-proxy); CONNECT, which led nowhere, is refused (connect-host)")
	t.set(0, "etag", "md5")
}

// onAWS tells whether the stores are the regions' endpoints, and not AwsDomain.
func (t *translation) onAWS() bool { return strings.EqualFold(t.AwsDomain, oldDomain) }

// endpoint is the store of a bucket. Each region of AWS has one of its own; the older program sent
// all requests to the global one, which sends those for most regions back.
func (t *translation) endpoint(b *Bucket) string {
	host := t.AwsDomain
	if t.onAWS() {
		host = "s3." + b.Region + ".amazonaws.com"
	}
	return (&url.URL{Scheme: b.Protocol, Host: host}).String()
}

// defaultStore is for requests that name no configured bucket. The older program took the credentials
// of any bucket for them.
func (t *translation) defaultStore() {
	name := t.names()[0]
	b := t.Buckets[name]
	t.set(0, "upstream", t.endpoint(b))
	t.set(0, "upstream-region", b.Region)
	if t.InsecureTLS && b.Protocol == "https" {
		t.set(0, "upstream-insecure", true)
	}
	if b.AccessKeyID != "" {
		t.set(0, "upstream-access-key-id", b.AccessKeyID)
		t.set(0, "upstream-secret-access-key-file", t.secret(name, "secret-access-key", b.SecretAccessKey))
	}
	retries := int64(0)
	for _, b := range t.Buckets {
		retries = max(retries, b.RetryCount)
	}
	if retries > 0 {
		const most = 10 // attempts
		t.set(0, "upstream-attempts", min(retries+1, most))
	}
	t.set(0, "kms", (&url.URL{Scheme: "localfile", Path: filepath.Join(t.dir, KeysetName)}).String())
	t.open(0, "buckets")
	t.note("ListBuckets, and buckets that are not configured, use the store and the credentials of bucket %s (the older program took those of any bucket); in buckets that are not configured, what is written is encrypted now, and what is not encrypted is refused", name)
}

func (t *translation) bucket(name string) {
	b := t.Buckets[name]
	t.open(1, name)
	if b.EncryptionKey == "" {
		t.set(2, "encrypt", false)
	} else {
		t.set(2, "legacy-key-file", t.secret(name, "legacy-key", b.EncryptionKey))
	}
	t.open(2, "upstream")
	t.set(3, "url", t.endpoint(b))
	t.set(3, "region", b.Region)
	if t.InsecureTLS && b.Protocol == "https" {
		t.set(3, "insecure", true)
	}
	if b.AccessKeyID != "" {
		t.open(3, "credentials")
		t.set(4, "access-key-id", b.AccessKeyID)
		t.set(4, "secret-access-key-file", t.secret(name, "secret-access-key", b.SecretAccessKey))
	}
}

// tellOfBuckets says what is particular about some buckets.
func (t *translation) tellOfBuckets() {
	which := func(picks func(b *Bucket) bool) (names []string) {
		for _, name := range t.names() {
			if picks(t.Buckets[name]) {
				names = append(names, name)
			}
		}
		return names
	}
	if plain := which(func(b *Bucket) bool { return b.EncryptionKey == "" }); plain != nil {
		t.note("no EncryptionKey: %s. These stay unencrypted (encrypt: false); docs/KEYS.md says how to encrypt what is there", strings.Join(plain, ", "))
	}
	if old := which(func(b *Bucket) bool { return b.EncryptionKey != "" }); old != nil {
		t.note("what the older program has encrypted in %s can be read, and nothing authenticates it, until encrypt-existing --legacy has encrypted it anew (docs/MIGRATE.md)", strings.Join(old, ", "))
	}
	if role := which(func(b *Bucket) bool { return b.AccessKeyID == "" }); role != nil {
		t.note("no AccessKeyId: %s. Credentials are found as the AWS SDKs find them: environment, shared configuration, container, the machine's role", strings.Join(role, ", "))
	}
}

// tellOfSettings says what replaces settings that have no exact counterpart.
func (t *translation) tellOfSettings() {
	retries, delays := false, false
	for _, b := range t.Buckets {
		retries, delays = retries || b.RetryCount > 0, delays || b.RetryDelay > 0
	}
	if retries {
		t.note("RetryCount: upstream-attempts, of a GET or HEAD in any bucket; a write is never sent twice, since clients repeat theirs")
	}
	if delays {
		t.note("RetryDelay: no setting; the pauses between attempts grow by themselves")
	}
	if t.DisableKeepAlives {
		t.note("DisableKeepAlives: no setting; connections to the store are kept, and one that the store has closed is replaced")
	}
	if t.InsecureTLS {
		t.note("InsecureTLS: the store's certificate is not verified, as before. Name its authority by upstream-ca instead (docs/SETTINGS.md)")
	}
	if t.onAWS() {
		t.note("AwsDomain: requests go to the endpoint of each bucket's region, and name the bucket in the host")
	}
}
