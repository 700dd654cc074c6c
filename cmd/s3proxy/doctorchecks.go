package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/doctor"
	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// checks opens what the checks look at. stop ends what they needed.
func (o *doctorFlags) checks(ctx context.Context, s *stores) (checks []doctor.Check, stop func(), err error) {
	stop = func() {}
	var bucket s3name.Bucket
	if o.bucket != "" {
		if bucket, err = s3name.ParseBucket(strings.TrimSuffix(strings.TrimPrefix(o.bucket, "s3://"), "/")); err != nil {
			return nil, stop, config.Usagef("bucket: %q: %w", o.bucket, err)
		}
	}
	if o.endpoint != "" {
		checks, err := o.fromOutside(s.c, bucket)
		return checks, stop, err
	}
	checks = []doctor.Check{checkConfiguration(s.c), checkClients(s.c), doctor.TempFolder(), doctor.OpenFiles(s.c.MaxConnections), doctor.CPU()}
	if s.c.TLSCert != "" {
		checks = append(checks, doctor.Certificate(s.c.TLSCert, s.c.TLSKey))
	}
	for _, key := range s.keysToCheck() {
		checks = append(checks, key.Checks()...)
	}
	if s.c.UpstreamURL == nil && !s.startedBefore() {
		return append(checks, doctor.Check{Name: "store", At: "the embedded store", Look: func(context.Context) doctor.Finding {
			return doctor.Finding{State: doctor.Skipped, Found: "there is none yet: serve makes it at its first start, with its keyset"}
		}}), stop, nil
	}
	if err := s.open(ctx); errors.As(err, new(config.UsageError)) {
		return nil, stop, err
	} else if err != nil {
		return append(checks, broken("store", s.c.Upstream, err)), stop, nil
	}
	found, err := s.storesToCheck(ctx)
	if err != nil {
		return nil, stop, err
	}
	for _, store := range found {
		checks = append(checks, store.Checks()...)
	}
	if o.bucket == "" {
		return checks, stop, nil
	}
	b, stop, err := s.bucketToCheck(ctx, bucket)
	if err != nil {
		return append(checks, broken("bucket", "s3://"+bucket.String(), err)), stop, nil
	}
	b.ReadOnly = o.readOnly
	return append(checks, b.Checks()...), stop, nil
}

// startedBefore tells whether serve has made the embedded store.
func (s *stores) startedBefore() bool {
	has, err := exists(filepath.Join(s.c.DataDir, "store"))
	return has && err == nil
}

// broken is a check that cannot be begun.
func broken(name, at string, err error) doctor.Check {
	return doctor.Check{Name: name, At: at, Look: func(context.Context) doctor.Finding {
		return doctor.Finding{State: doctor.Failed, Found: strings.Join(strings.Fields(err.Error()), " ")}
	}}
}

// keysToCheck are the keys of all buckets, each once.
func (s *stores) keysToCheck() (keys []doctor.Key) {
	writes := map[string]bool{}
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(s.c.Buckets))...) {
		set := s.c.Buckets[name]
		write, read, err := s.c.KeyURIs(name)
		own, _ := exists(s.c.KeysetPath())
		if err != nil || set.Passthrough() || write == s.c.DefaultKMS() && !own {
			continue // checkConfiguration says so, or the first start will make it
		}
		writes[write] = true
		for _, uri := range read {
			if _, known := writes[uri]; !known {
				writes[uri] = false
			}
		}
	}
	for _, uri := range slices.Sorted(maps.Keys(writes)) {
		open := func(ctx context.Context) (kms.Key, error) { return s.key(ctx, uri) }
		keys = append(keys, doctor.Key{URI: uri, Open: open, Writes: writes[uri], Advice: kmsToDo})
	}
	return keys
}

// storesToCheck are the default store and those of buckets, each once.
func (s *stores) storesToCheck(ctx context.Context) (found []doctor.Store, err error) {
	if s.embedded != nil {
		t := storeTrial(config.Upstream{URL: "http://embedded"}, s.embedded.client)
		found = append(found, doctor.Store{Address: "the embedded store", Client: s.embedded.client, Look: t.look, Advice: adviceOf(t)})
	}
	for _, name := range slices.Sorted(maps.Keys(s.c.Buckets)) {
		if set := s.c.Buckets[name].Upstream; set != (config.Upstream{}) {
			if _, err := s.client(ctx, set); err != nil {
				return nil, config.InBucket(name, err)
			}
		}
	}
	for set, client := range s.clients {
		t := storeTrial(set, client)
		found = append(found, doctor.Store{Address: set.URL, Client: client, Look: t.look, Advice: adviceOf(t)})
	}
	slices.SortStableFunc(found, func(a, b doctor.Store) int { return strings.Compare(a.Address, b.Address) })
	return found, nil
}

func adviceOf(t trial) doctor.Advice {
	return func(ctx context.Context, err error) string { return t.toDo(ctx, err) }
}

// bucketToCheck gives a bucket with a proxy in front of it, which stop ends.
func (s *stores) bucketToCheck(ctx context.Context, name s3name.Bucket) (b *doctor.Bucket, stop func(), err error) {
	stop = func() {}
	settings, err := s.bucket(ctx, name.String())
	if err != nil {
		return nil, stop, err
	}
	set := s.c.UpstreamOf(s.c.Buckets[name.String()].Upstream)
	t := storeTrial(set, settings.Upstream)
	b = &doctor.Bucket{Name: name, Store: settings.Upstream, Payload: upstream.PayloadChecked, Place: s.c.State, Advice: adviceOf(t)}
	if set.URL != "" {
		b.Payload = upstream.Payload(set.Payload)
	}
	if set.URL != "" && upstream.Signature(set.Signature) != upstream.SignatureV2 {
		b.With = func(ctx context.Context, how upstream.Payload) (*upstream.Client, error) {
			other := set
			other.Payload = string(how)
			return s.client(ctx, other)
		}
	}
	b.Proxied, stop, err = inProcess(proxy.Config{Default: settings, State: s.c.State, Log: s.log})
	return b, stop, err
}

// checkConfiguration says what is set in a way that nobody should leave it in.
func checkConfiguration(c *config.Config) doctor.Check {
	return doctor.Check{Name: "configuration", At: c.Path, Look: func(context.Context) doctor.Finding {
		if err := c.CheckKeys(); err != nil {
			return doctor.Finding{State: doctor.Failed, Found: err.Error()}
		}
		risks := risksOf(c)
		if len(risks) > 0 {
			return doctor.Finding{State: doctor.Warning, Found: strings.Join(risks, "; "), Do: "leave it so only where it is meant"}
		}
		return doctor.Finding{State: doctor.OK, Found: fmt.Sprintf("it is understood; %d buckets have settings of their own", len(c.Buckets))}
	}}
}

func risksOf(c *config.Config) (risks []string) {
	note := func(is bool, text string) {
		if is {
			risks = append(risks, text)
		}
	}
	note(c.UpstreamInsecure, "upstream-insecure: whoever is on the way can be the store")
	note(c.UpstreamURL != nil && c.UpstreamURL.Scheme == "http" && !config.OnLoopback(hostPort(c.UpstreamURL)), "the way to the store has no TLS: names, sizes and metadata are readable there")
	note(c.UpstreamSignature == string(upstream.SignatureV2) && c.UpstreamURL != nil && c.UpstreamURL.Scheme == "http" && !config.OnLoopback(hostPort(c.UpstreamURL)), "upstream-signature v2: whoever is on the way can put another body into what is written")
	note(c.AllowPlaintextReads, "allow-plaintext-reads: the store can put plaintext in the place of any object")
	note(c.Auth == config.AuthNone, "auth none: everybody who reaches the listener may do everything")
	note(!config.OnLoopback(c.Listen) && !c.PlaintextListen && c.TLSCert == "", "others than this machine reach listen: it has no TLS (tls-cert), and nothing says that this is ended before it (plaintext-listen)")
	for _, name := range slices.Sorted(maps.Keys(c.Buckets)) {
		set := c.Buckets[name]
		note(set.Upstream.Insecure, "bucket "+name+": insecure: whoever is on the way can be the store")
		note(set.AllowPlaintextReads != nil && *set.AllowPlaintextReads, "bucket "+name+": allow-plaintext-reads")
		note(set.HasLegacyKey(), "bucket "+name+": legacy-key: the store can put forged content in the place of any object, until encrypt-existing is done and the key is removed")
	}
	return risks
}

func hostPort(u *url.URL) string {
	if u.Port() == "" {
		return u.Hostname() + ":80"
	}
	return u.Host
}

// checkClients reads the clients' credentials.
func checkClients(c *config.Config) doctor.Check {
	return doctor.Check{Name: "clients", Look: func(context.Context) doctor.Finding {
		_, count, err := c.SomeClient()
		switch {
		case err != nil:
			return doctor.Finding{State: doctor.Failed, Found: err.Error(), Do: "correct it: the proxy does not start, or stays with the credentials that it has"}
		case c.Auth == config.AuthNone:
			return doctor.Finding{State: doctor.Skipped, Found: "auth is none"}
		case count == 0:
			return doctor.Finding{State: doctor.OK, Found: "there are none yet: serve makes some at its first start"}
		}
		return doctor.Finding{State: doctor.OK, Found: fmt.Sprintf("%d can be used", count)}
	}}
}

// fromOutside are the checks of a running proxy.
func (o *doctorFlags) fromOutside(c *config.Config, bucket s3name.Bucket) ([]doctor.Check, error) {
	at, err := url.Parse(o.endpoint)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.RawQuery != "" || at.User != nil {
		return nil, config.Usagef("endpoint: %q is not a URL such as https://s3.example.com", o.endpoint)
	}
	security, err := upstreamTLS(config.Upstream{CA: c.UpstreamCA, Insecure: c.UpstreamInsecure}, at)
	if err != nil {
		return nil, config.Usagef("endpoint: %w", err)
	}
	key, _, err := c.SomeClient()
	if err != nil {
		return nil, err
	}
	client, err := upstream.New(upstream.Config{
		Endpoint: at, Region: c.SomeRegion(), Addressing: upstream.AddressingPath, Payload: upstream.PayloadChecked, TLS: security,
		Credentials: credentials.NewStaticCredentialsProvider(key.ID, key.Secret, ""),
	})
	if err != nil {
		return nil, config.UsageError{Err: err}
	}
	e := &doctor.Endpoint{
		URL: at, Region: c.SomeRegion(), Credentials: aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, Client: client, Bucket: bucket,
		HTTP: &http.Client{
			Transport:     &http.Transport{TLSClientConfig: security, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Advice: func(_ context.Context, err error) string {
			return adviceFor(err, slices.Concat(ofClients, ofConnections))
		},
	}
	if o.readOnly {
		e.Bucket = s3name.Bucket{}
	}
	return e.Checks(), nil
}

// ofClients is for what a proxy answers to a client.
var ofClients = []advice{
	{"InvalidAccessKeyId", "the proxy does not know the access key: correct " + config.EnvAccessKey + ", or add the client to the proxy's credentials"},
	{"AuthorizationHeaderMalformed", "the region is another one: correct --region"},
	{"RequestTimeTooSkewed", "the clocks differ: set this machine's, or the proxy's"},
	{"AccessDenied", "let the client use the bucket (buckets, read-only in its credentials)"},
	{"NoSuchBucket", "make the bucket, or correct its name"},
	{"credentials of the proxy", "the store does not accept the proxy's own credentials: run doctor where the proxy runs"},
	{"SlowDown", "the proxy's store or KMS does not answer: look at its /readyz"},
}
