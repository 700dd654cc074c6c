package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/audit"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/metrics"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/page"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/tracing"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/legacy"
	"github.com/s3proxy/s3proxy/proxy/object"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// stores makes what buckets need, each thing once: a client for each store, a key for each
// URI, and a Keyring for each combination of keys, store and alias.
type stores struct {
	c   *config.Config
	log *slog.Logger
	// attempts is how often a request that changes nothing at the store is sent.
	attempts    int
	retryBudget int // see upstream.Config
	// embedded is nil with an upstream.
	embedded *embeddedStore
	clients  map[config.Upstream]*upstream.Client
	// reaches tell of each client of a serving process whether its store answers.
	reaches  map[*upstream.Client]*reach
	keys     map[string]kms.Key
	keyrings map[keyringID]*kms.Keyring
	// offlineFloor gives the floor of a bucket without asking its store; nil if there is none.
	offlineFloor kms.Floors
	// metrics, if not nil, count requests to stores and calls of KMSs.
	metrics *metrics.Metrics
	// audit, if not nil, gets the uses of keys.
	audit *audit.Log
	// tracing, if not nil, records requests, and what they ask stores and KMSs for.
	tracing *tracing.Tracing
	// triedKeys is what a look at the keys has shown last.
	triedKeys atomic.Pointer[[]page.Key]
	// insecure are the stores whose certificate is not verified.
	insecure []string
}

type keyringID struct {
	store  *upstream.Client
	kms    string        // all URIs
	alias  s3name.Bucket // the bucket whose records are read under the name of another
	floors string        // that are pinned
}

// commandAttempts is for programs that run for hours, with nobody to try again: a few errors
// of a busy store among millions of answers must not end them.
const commandAttempts = 6

// newStores opens nothing yet.
func newStores(c *config.Config, log *slog.Logger) *stores {
	return &stores{
		c: c, log: log, attempts: commandAttempts,
		clients: map[config.Upstream]*upstream.Client{}, reaches: map[*upstream.Client]*reach{}, keys: map[string]kms.Key{}, keyrings: map[keyringID]*kms.Keyring{},
	}
}

// openStores makes the client of the default store, or starts the embedded one. The caller
// must close it.
func openStores(ctx context.Context, c *config.Config, log *slog.Logger) (*stores, error) {
	s := newStores(c, log)
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *stores) open(ctx context.Context) (err error) {
	if s.c.UpstreamURL == nil {
		if err := s.c.NeedDataDir(); err != nil {
			return err
		}
		s.embedded, err = startEmbedded(s.c, s.log, s.watch)
		return err
	}
	if err := s.oneStore(); err != nil {
		return err
	}
	_, err = s.client(ctx, config.Upstream{})
	return err
}

// oneStore refuses an upstream that only AWS's settings name where the data folder has an
// embedded store: its buckets would seem to be gone.
func (s *stores) oneStore() error {
	if s.c.UpstreamFrom == "" || s.c.DataDir == "" {
		return nil
	}
	has, err := exists(filepath.Join(s.c.DataDir, "store"))
	if err != nil || !has {
		return nil // whatever is there, it is not ours to read
	}
	return config.Usagef("%s names the store %s, and there is an embedded store in %s: say which one it is, by --upstream %s or --upstream ''", s.c.UpstreamFrom, s.c.Upstream, s.c.DataDir, s.c.Upstream)
}

// close ends the embedded store.
func (s *stores) close() {
	if s.embedded != nil {
		s.embedded.close()
	}
}

// ended gives a channel that tells why the embedded store has ended; nil without one.
func (s *stores) ended() <-chan error {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.done
}

// serve fills in the settings of all buckets.
func (s *stores) serve(ctx context.Context, served *proxy.Config) (err error) {
	if served.Default, err = s.bucket(ctx, ""); err != nil {
		return err
	}
	served.Buckets = map[string]object.Settings{}
	for _, name := range slices.Sorted(maps.Keys(s.c.Buckets)) {
		if served.Buckets[name], err = s.bucket(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// bucket gives the settings that a bucket is served with. The name "" stands for any bucket
// without settings of its own. It opens keys, and makes none.
func (s *stores) bucket(ctx context.Context, name string) (object.Settings, error) {
	keyring, records, err := s.keyring(ctx, name)
	if err != nil {
		return object.Settings{}, err
	}
	set := s.c.Buckets[name]
	b := object.Settings{
		Upstream: records.Store, Keyring: keyring, Origin: set.Alias,
		Passthrough: set.Passthrough(), ETag: object.ETagMode(cmp.Or(set.ETag, s.c.ETag)),
		AllowPlaintextReads: s.c.AllowPlaintextReads, SkipRangeCheck: cmp.Or(set.RangeCheck, s.c.RangeCheck) == "segments",
		SSE: object.SSEMode(cmp.Or(set.SSE, s.c.SSE)), CORS: object.CORSMode(cmp.Or(set.CORS, s.c.CORS)),
	}
	if b.Legacy, err = legacyKeys(name, set); err != nil {
		return object.Settings{}, err
	}
	switch {
	case set.AllowPlaintextReads != nil:
		b.AllowPlaintextReads = *set.AllowPlaintextReads
	case b.Legacy != nil: // what had no header was plaintext then
		b.AllowPlaintextReads = true
	}
	return b, nil
}

// legacyKeys reads the key that a bucket had in the older s3proxy; nil if there is none.
func legacyKeys(name string, set config.Bucket) (*legacy.Keys, error) {
	text, err := set.ReadLegacyKey()
	if err != nil || text == "" {
		return nil, config.InBucket(name, err)
	}
	keys, err := legacy.ParseKey(text)
	if err != nil {
		return nil, config.Usagef("bucket %s: legacy-key: %w", name, err)
	}
	return keys, nil
}

// keysOnly is bucket for commands that need no store: it looks up records if an upstream is
// configured, and does not start the embedded store.
func (s *stores) keysOnly(ctx context.Context, name string) (object.Settings, error) {
	set := s.c.Buckets[name]
	if s.c.UpstreamURL != nil || set.Upstream.URL != "" {
		return s.bucket(ctx, name)
	}
	write, read, err := s.c.KeyURIs(name)
	if err != nil {
		return object.Settings{}, err
	}
	ring, err := s.newKeyring(ctx, write, read, nil, s.offlineFloor, nil)
	if err != nil {
		return object.Settings{}, err
	}
	old, err := legacyKeys(name, set)
	return object.Settings{Keyring: ring, Origin: set.Alias, Legacy: old}, err
}

// keyring gives a bucket's Keyring, and where its records are.
func (s *stores) keyring(ctx context.Context, name string) (*kms.Keyring, state.Records, error) {
	ring, records, err := s.findKeyring(ctx, name, s.c.Buckets[name])
	return ring, records, config.InBucket(name, err)
}

func (s *stores) findKeyring(ctx context.Context, name string, set config.Bucket) (*kms.Keyring, state.Records, error) {
	records, err := s.records(ctx, name, set)
	if err != nil {
		return nil, state.Records{}, err
	}
	write, read, err := s.c.KeyURIs(name)
	if err != nil {
		return nil, state.Records{}, err
	}
	id := keyringID{store: records.Store, kms: strings.Join(append([]string{write}, read...), "\n"), alias: records.Bucket, floors: strings.Join(set.Floor, ",")}
	if ring := s.keyrings[id]; ring != nil {
		return ring, records, nil
	}
	ring, err := s.newKeyring(ctx, write, read, records, records, set.Floor)
	if err == nil {
		s.keyrings[id] = ring
	}
	return ring, records, err
}

// Open implements ops.Buckets.
func (s *stores) Open(ctx context.Context, name string) (*ops.Bucket, error) {
	ring, records, err := s.keyring(ctx, name)
	if err != nil {
		return nil, err
	}
	served, err := s.bucket(ctx, name)
	return &ops.Bucket{Name: name, Origin: s.origin(name), Served: served, Keyring: ring, Records: records}, err
}

// Records implements ops.Buckets.
func (s *stores) Records(ctx context.Context, name string) (state.Records, string, error) {
	records, err := s.records(ctx, name, s.c.Buckets[name])
	return records, s.origin(name), err
}

// WriteKey implements ops.Buckets.
func (s *stores) WriteKey(ctx context.Context, name string) (key kms.Key, uri string, err error) {
	if uri, _, err = s.c.KeyURIs(name); err != nil {
		return nil, "", err
	}
	key, err = s.key(ctx, uri)
	return key, uri, err
}

// origin is the name that a bucket's keys are bound to.
func (s *stores) origin(name string) string { return cmp.Or(s.c.Buckets[name].Alias, name) }

// records says where a bucket's window records are. It does not need a key.
func (s *stores) records(ctx context.Context, name string, set config.Bucket) (state.Records, error) {
	store, err := s.client(ctx, set.Upstream)
	records := state.Records{Store: store, Place: s.c.State}
	if err == nil && set.Alias != "" {
		records.Bucket, err = s3name.ParseBucket(name)
	}
	return records, err
}

// client gives the client of a store. Settings that set leaves out are the default store's.
func (s *stores) client(ctx context.Context, set config.Upstream) (*upstream.Client, error) {
	if set == (config.Upstream{}) && s.embedded != nil {
		return s.embedded.client, nil
	}
	set = s.c.UpstreamOf(set)
	if client := s.clients[set]; client != nil {
		return client, nil
	}
	endpoint, err := url.Parse(set.URL)
	if err != nil {
		return nil, config.Usagef("upstream: %w", err)
	}
	security, err := upstreamTLS(set, endpoint)
	if err != nil {
		return nil, config.Usagef("upstream %s: %w", endpoint.Host, err)
	}
	conf := upstream.Config{
		TLS: security, Endpoint: endpoint, Region: set.Region, Payload: upstream.Payload(set.Payload), Signature: upstream.Signature(set.Signature), Addressing: upstream.Addressing(set.Addressing), Attempts: s.attempts, RetryBudget: s.retryBudget,
		Timeouts: upstream.Timeouts{Connect: s.c.UpstreamConnectTimeout, Answer: s.c.UpstreamAnswerTimeout, Stall: s.c.UpstreamStallTimeout},
	}
	s.watch(&conf)
	var seen *reach
	if s.metrics != nil {
		seen = &reach{at: endpoint.Redacted(), unreadyAfter: s.c.StoreUnreadyAfter}
		conf.Observe = func(ctx context.Context, e upstream.Exchange) { s.metrics.Upstream(ctx, e); seen.observe(e) }
	}
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithRegion(set.Region)}
	switch at := set.Credentials; {
	case at.Profile != "":
		options = append(options, awsconfig.WithSharedConfigProfile(at.Profile))
	case at != (config.UpstreamCredentials{}):
		id, secret, err := at.Read()
		if err != nil {
			return nil, config.Usagef("upstream credentials: %w", err)
		}
		options = append(options, awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, secret, "")))
	}
	aws, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("upstream credentials: %w", err)
	}
	conf.Credentials = aws.Credentials
	client, err := upstream.New(conf)
	if err != nil {
		return nil, config.UsageError{Err: err}
	}
	s.clients[set] = client
	if seen != nil {
		s.reaches[client] = seen
	}
	if security != nil && set.Insecure {
		s.insecure = append(s.insecure, endpoint.Host)
		s.log.Warn("INSECURE: the store's certificate is not verified: whoever is on the way can be the store, see what clients ask for, and lose what they write", "store", endpoint.Host)
	}
	return client, nil
}

// watch has the client of a store tell what it does, in a process that records it.
func (s *stores) watch(conf *upstream.Config) {
	conf.Trace, conf.Wrap = proxy.TraceUpstream(s.log), s.tracing.Transport
	if s.metrics != nil {
		conf.Observe = s.metrics.Upstream
	}
}

// warnings says what is set up in a way that nobody should leave it in.
func (s *stores) warnings() (lines []string) {
	for _, host := range s.insecure {
		lines = append(lines, "warning: the certificate of the store "+host+" is not verified (upstream-insecure)")
	}
	return lines
}

// observe is told of each request of a serving process.
func (s *stores) observe(ctx context.Context, r proxy.Served) {
	s.metrics.Observe(ctx, r)
	s.audit.Request(r)
	s.tracing.Observe(ctx, r)
}

// reloaded is told of files that were read again while the process serves.
func (s *stores) reloaded(what string) func(error) {
	return func(err error) { s.audit.Reload(what, err) }
}

// held counts the keys in memory of all keyrings.
func (s *stores) held() (all []kms.Held) {
	for _, ring := range s.keyrings {
		all = append(all, ring.Held())
	}
	return all
}

// answering tells which stores answered when they were asked last, by their URLs.
func (s *stores) answering() map[string]bool {
	all := map[string]bool{}
	for _, r := range s.reaches {
		before, known := all[r.at] // with other credentials, say
		all[r.at] = r.silence() == 0 && (before || !known)
	}
	return all
}

// closeKeyrings writes window records a last time and drops all keys.
func (s *stores) closeKeyrings(ctx context.Context) error {
	var errs []error
	for _, ring := range s.keyrings {
		errs = append(errs, ring.Close(ctx))
	}
	return errors.Join(errs...)
}
