package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/kms"
)

const (
	tryFor    = 4 * time.Second  // the first look; with what it takes to find out more, less than 5
	tryLonger = 15 * time.Second // those that follow: a slow answer is one
	tryAgain  = time.Minute
	// beforeListening bounds how long the start waits for the first looks: what is wrong stands
	// in the log before clients come, and a store that hangs does not keep the proxy from
	// listening.
	beforeListening = time.Second
)

// trial is a look whether something outside works.
type trial struct {
	what, at string
	look     func(context.Context) error
	toDo     func(context.Context, error) string // about an error; "" if that says it itself
	reach    *reach                              // not nil: it is looked at again when its reach is unsure
}

// tryBackends looks whether the stores and the KMS work, says what is wrong and what to do, and
// looks again until they do; every minute it says so once more. The proxy goes on meanwhile:
// stores come back. Whether a store answers counts as long as the proxy runs: see reach.
func (s *stores) tryBackends(ctx context.Context) {
	var first sync.WaitGroup
	for _, t := range s.trials() {
		first.Add(1)
		go t.follow(ctx, s.log, sync.OnceFunc(first.Done))
	}
	done := make(chan struct{})
	go func() { first.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(beforeListening):
	}
}

func (s *stores) trials() (all []trial) {
	for set, client := range s.clients {
		t := storeTrial(set, client)
		t.reach = s.reaches[client]
		all = append(all, t)
	}
	writing := map[string]kms.Key{}
	for _, name := range append([]string{""}, slices.Sorted(maps.Keys(s.c.Buckets))...) {
		if uri, _, err := s.c.KeyURIs(name); err == nil && s.keys[uri] != nil {
			writing[uri] = s.keys[uri]
		}
	}
	for uri, key := range writing {
		all = append(all, trial{what: "the KMS", at: uri, look: key.Check, toDo: kmsToDo})
	}
	return all
}

// follow looks until all is fine and then, if there is a reach, whenever that is unsure.
func (t *trial) follow(ctx context.Context, log *slog.Logger, tried func()) {
	for {
		t.untilFine(ctx, log, tried)
		if t.reach == nil {
			return
		}
		for again := true; again; again = !t.reach.unsure() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(t.reach.lookEvery()):
			}
		}
	}
}

func (t *trial) untilFine(ctx context.Context, log *slog.Logger, tried func()) {
	var said time.Time
	for patience := tryFor; ; patience = tryLonger {
		within, cancel := context.WithTimeout(ctx, patience)
		err := t.look(within)
		cancel()
		if ctx.Err() != nil {
			tried()
			return
		}
		if err == nil {
			if !said.IsZero() {
				log.Info(t.what+" works now", "at", t.at)
			}
			tried()
			return
		}
		if said.IsZero() || time.Since(said) >= tryAgain {
			said = time.Now()
			t.say(ctx, log, err)
		}
		tried()
		every := tryAgain
		if t.reach != nil && t.reach.silence() > 0 {
			every = t.reach.lookEvery()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func (t *trial) say(ctx context.Context, log *slog.Logger, err error) {
	message := t.what + " does not work"
	if toDo := t.toDo(ctx, err); toDo != "" {
		message += ": " + toDo
	}
	log.Error(message, "at", t.at, "error", strings.Join(strings.Fields(err.Error()), " "))
}

// advice is what to do about an error of which a part is known.
type advice struct{ part, toDo string }

// ofConnections is for every server. Drivers of a KMS hand on texts alone.
var ofConnections = []advice{
	{"server gave HTTP response to HTTPS client", "it speaks plain http: write http:// in its address, or let it speak TLS"},
	{"no such host", "its name is not known: correct the host in its address, or mend DNS"},
	{"name resolution", "its name cannot be looked up: mend DNS"},
	{"server misbehaving", "its name cannot be looked up: mend DNS"},
	{"connection refused", "nothing listens there: start it, or correct host and port in its address"},
	{"signed by unknown authority", "nobody who is trusted has signed its certificate: name the authority's certificate (--upstream-ca for the store, VAULT_CACERT for Vault, AWS_CA_BUNDLE for AWS)"},
	{"certificate has expired", "its certificate has expired, or this machine's clock is wrong"},
	{"certificate is", "its certificate is for another name: write that in its address"},
	{"x509:", "its certificate cannot be verified"},
	{"no route to host", "there is no way to it: look at routes and firewalls"},
	{"network is unreachable", "there is no way to it: look at routes and firewalls"},
	{"deadline exceeded", "it does not answer in time: look at its address, firewalls and its load"},
	{"i/o timeout", "it does not answer in time: look at its address, firewalls and its load"},
}

// ofKMS comes before ofConnections.
var ofKMS = []advice{
	{"no such file or directory", "make it (s3proxy keys create), or correct --kms"},
	{"Vault is sealed", "unseal it: vault operator unseal"},
	{"not initialized", "it is new and has no keys yet: vault operator init, then unseal it"},
	{"encryption key not found", "make the key (vault write -f MOUNT/keys/NAME), or correct --kms"},
	{"no such key", "make the key, enable the transit engine, or correct --kms"},
	{"permission denied", "its policy must allow s3proxy to use the key: docs/KEYS.md has one"},
	{"AccessDenied", "the key's policy must allow s3proxy to use it: docs/KEYS.md has one"},
}

func kmsToDo(_ context.Context, err error) string {
	return adviceFor(err, slices.Concat(ofKMS, ofConnections))
}

func adviceFor(err error, known []advice) string {
	text := err.Error()
	at := slices.IndexFunc(known, func(a advice) bool { return strings.Contains(text, a.part) })
	if at < 0 {
		return ""
	}
	return known[at].toDo
}
