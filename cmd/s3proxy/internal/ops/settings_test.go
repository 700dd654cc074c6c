package ops

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

const rules = `<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://page.example</AllowedOrigin></CORSRule></CORSConfiguration>`

const rulesAt = ".s3proxy/cors"

func (l *live) putRules() {
	l.t.Helper()
	l.send(l.client, &upstream.Request{Method: http.MethodPut, Query: url.Values{"cors": {""}}, Bytes: []byte(rules)})
}

// hasRules tells whether a proxy that starts now reads them.
func (l *live) hasRules() bool {
	l.t.Helper()
	l.serve()
	_, body := l.send(l.client, &upstream.Request{Method: http.MethodGet, Query: url.Values{"cors": {""}}})
	return strings.HasSuffix(string(body), rules)
}

func TestAVersionThatABucketsCORSRulesNeedMayNotGo(t *testing.T) {
	t.Parallel()
	l := newLive(t, 0)
	l.putRules()
	old := l.rotate()
	must(l, l.rotation(Rotate{}))
	if may, why := l.mayGo(old); may || !strings.HasPrefix(why, "1 objects of window 0") {
		t.Errorf("before: %v %q", may, why)
	}
	must(l, l.rotation(Rotate{Objects: true, Job: Job{DryRun: true}}))
	if may, _ := l.mayGo(old); may {
		t.Error("a dry run has sealed them again")
	}
	must(l, l.rotation(Rotate{Objects: true}))
	if may, why := l.mayGo(old); !may {
		t.Errorf("after: %s", why)
	}
	if err := localfile.Destroy(t.Context(), l.keyset, old[strings.Index(old, "#")+1:]); err != nil {
		t.Fatal(err)
	}
	if !l.hasRules() {
		t.Error("the rules are lost")
	}
}

func TestARecordThatABucketsCORSRulesNameStays(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.putRules()
	time.Sleep(1100 * time.Millisecond) // the store's dates have seconds
	if found := must(l, &SweepRecords{Job: l.job(), Bucket: l.name}); found.Records != 1 || found.Named != 1 || found.Removed != 0 {
		t.Errorf("%+v", found)
	}
}

func TestARekeySealsCORSRulesAgainAndRefusesThoseFromBefore(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.putRules()
	before, raw := l.get(l.store, rulesAt)
	plans, err := PlanRekeys(t.Context(), Rekey{Job: l.job(), NewVersion: true, Opened: func(string, string) {}}, []string{l.name})
	if err != nil {
		t.Fatal(err)
	}
	l.rotate()
	time.Sleep(1100 * time.Millisecond) // a key file is read again after a second
	if found := must(l, plans[0]); !found.Closed {
		t.Errorf("%+v", found)
	}
	if !l.hasRules() {
		t.Error("the rules are lost")
	}
	l.put(l.store, rulesAt, raw, metadata(before))
	l.serve()
	name, err := s3name.ParseBucket(l.name)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := l.client.Do(t.Context(), &upstream.Request{Method: http.MethodGet, Bucket: name, Query: url.Values{"cors": {""}}})
	if err == nil {
		resp.Body.Close()
		t.Error("rules from before the rekey are believed")
	}
}
