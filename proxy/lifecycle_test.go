package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
)

func lifecycleOf(rules string) string {
	return `<LifecycleConfiguration xmlns="` + s3xml.Namespace + `">` + rules + `</LifecycleConfiguration>`
}

// ruleOf is a rule that is enabled.
func ruleOf(rest string) string {
	return lifecycleOf("<Rule><ID>r</ID><Status>Enabled</Status>" + rest + "</Rule>")
}

func TestALifecycleRuleThatWouldTakeTheProxysObjectsIsFound(t *testing.T) {
	t.Parallel()
	const days = "<Expiration><Days>1</Days></Expiration>"
	own, below := state.Place{}, state.Place{Prefix: "team/"}
	for name, c := range map[string]struct {
		at    state.Place
		rule  string
		takes bool
	}{
		"everything":                      {own, "<Filter/>" + days, true},
		"everything, without a filter":    {own, days, true},
		"an empty prefix":                 {own, "<Filter><Prefix></Prefix></Filter>" + days, true},
		"an empty prefix, as it once was": {own, "<Prefix/>" + days, true},
		"a dot":                           {own, "<Filter><Prefix>.</Prefix></Filter>" + days, true},
		"the folder":                      {own, "<Filter><Prefix>.s3proxy/</Prefix></Filter>" + days, true},
		"the folder without its slash":    {own, "<Filter><Prefix>.s3proxy</Prefix></Filter>" + days, true},
		"in the folder":                   {own, "<Filter><Prefix>.s3proxy/keys/</Prefix></Filter>" + days, true},
		"in the folder, as it once was":   {own, "<Prefix>.s3proxy/uploads/</Prefix>" + days, true},
		"the folder as a store folds it":  {own, "<Filter><Prefix>/.S3PROXY//keys</Prefix></Filter>" + days, true},
		"a prefix and a size":             {own, "<Filter><And><Prefix></Prefix><ObjectSizeGreaterThan>1024</ObjectSizeGreaterThan></And></Filter>" + days, true},
		"large objects alone":             {own, "<Filter><ObjectSizeGreaterThan>6291456</ObjectSizeGreaterThan></Filter>" + days, false},
		"almost large objects":            {own, "<Filter><ObjectSizeGreaterThan>6291455</ObjectSizeGreaterThan></Filter>" + days, true},
		"small objects alone":             {own, "<Filter><ObjectSizeLessThan>100</ObjectSizeLessThan></Filter>" + days, true},
		"a tag":                           {own, "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>" + days, false},
		"two tags":                        {own, "<Filter><And><Tag><Key>k</Key><Value>v</Value></Tag><Tag><Key>l</Key><Value>v</Value></Tag></And></Filter>" + days, false},
		"another prefix":                  {own, "<Filter><Prefix>logs/</Prefix></Filter>" + days, false},
		"another prefix with a dot":       {own, "<Filter><Prefix>.s3proxy-logs/</Prefix></Filter>" + days, false},
		"on a day":                        {own, "<Filter/><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>", true},
		"moved elsewhere":                 {own, "<Filter/><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>", true},
		"old versions":                    {own, "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>", false},
		"old versions moved":              {own, "<Filter/><NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition>", false},
		"delete markers":                  {own, "<Filter/><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>", false},
		"uploads":                         {own, "<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>", false},
		"uploads and everything":          {own, "<Filter/>" + days + "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>", true},
		"everything, by another prefix":   {below, "<Filter/>" + days, true},
		"what the state prefix begins":    {below, "<Filter><Prefix>te</Prefix></Filter>" + days, true},
		"beside the state":                {below, "<Filter><Prefix>team/logs/</Prefix></Filter>" + days, false},
		"no state there":                  {below, "<Filter><Prefix>.s3proxy/</Prefix></Filter>" + days, false},
	} {
		_, rules, err := parseLifecycle([]byte(ruleOf(c.rule)))
		if err != nil || len(rules) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := rules[0].takes(c.at); got != c.takes {
			t.Errorf("%s: takes state objects: %v, want %v", name, got, c.takes)
		}
	}
	disabled := strings.Replace(ruleOf("<Filter/>"+days), "Enabled", "Disabled", 1)
	if _, rules, err := parseLifecycle([]byte(disabled)); err != nil || rules[0].takes(own) {
		t.Errorf("a disabled rule: %v", err)
	}
	if kept := envelope.StoredSize(envelope.MinPartSize); kept >= largestState {
		t.Errorf("a kept part may have %d bytes", kept)
	}
}

func TestOnlyBucketsThatHoldTheProxysObjectsAreSpared(t *testing.T) {
	t.Parallel()
	everything := []byte(ruleOf("<Filter/><Expiration><Days>1</Days></Expiration>"))
	shared := state.Place{Bucket: bucketNamed("state")}
	for name, c := range map[string]struct {
		at      state.Place
		bucket  string
		plain   bool
		refused bool
	}{
		"its own":                       {state.Place{}, "bucket", false, true},
		"its own, not encrypted":        {state.Place{}, "bucket", true, false},
		"those of others":               {shared, "state", false, true},
		"those of others, in plain":     {shared, "state", true, true},
		"none: they are somewhere else": {shared, "bucket", false, false},
	} {
		f := &fakeStore{objects: map[string]fakeObject{}}
		store := httptest.NewServer(f)
		t.Cleanup(store.Close)
		s := proxyAt(t, store.URL, "us-east-1", func(conf *Config) { conf.State, conf.Default.Passthrough = c.at, c.plain })
		resp, text := ask(t, s, "PUT", "/"+c.bucket+"?lifecycle=", everything)
		if refused := resp.StatusCode == http.StatusBadRequest && strings.Contains(text, "--state-bucket"); refused != c.refused || !refused && resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", name, resp.Status, text)
		}
	}
}

func TestALifecycleConfigurationThatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	const days = "<Expiration><Days>1</Days></Expiration>"
	for name, doc := range map[string]string{
		"no XML":                         "{}",
		"another document":               "<Tagging/>",
		"another namespace":              `<LifecycleConfiguration xmlns="http://example.com"/>`,
		"an element of another":          lifecycleOf(`<Rule xmlns="http://example.com"/>`),
		"an unknown action":              ruleOf("<Filter><Prefix>a</Prefix></Filter><AllVersionsExpiration><Days>1</Days></AllVersionsExpiration>"),
		"MinIO's own":                    ruleOf("<Filter/><DelMarkerExpiration><Days>1</Days></DelMarkerExpiration>"),
		"all versions, by an expiration": ruleOf("<Filter><Prefix>a</Prefix></Filter><Expiration><Days>1</Days><ExpiredObjectAllVersions>true</ExpiredObjectAllVersions></Expiration>"),
		"an unknown condition":           ruleOf("<Filter><Owner>me</Owner></Filter>" + days),
		"two filters":                    ruleOf("<Filter><Prefix>a</Prefix></Filter><Filter/>" + days),
		"two prefixes":                   ruleOf("<Prefix></Prefix><Filter><Prefix>a</Prefix></Filter>" + days),
		"two conditions without And":     ruleOf("<Filter><Prefix></Prefix><Tag><Key>k</Key><Value>v</Value></Tag></Filter>" + days),
		"one condition twice":            ruleOf("<Filter><Prefix>a</Prefix><Prefix></Prefix></Filter>" + days),
		"another case":                   ruleOf("<filter><Prefix>a</Prefix></filter>" + days),
		"a size that is none":            ruleOf("<Filter><ObjectSizeGreaterThan>0x700000</ObjectSizeGreaterThan></Filter>" + days),
		"a size below none":              ruleOf("<Filter><ObjectSizeGreaterThan>-1</ObjectSizeGreaterThan></Filter>" + days),
		"no status":                      lifecycleOf("<Rule><ID>r</ID><Filter/>" + days + "</Rule>"),
		"another status":                 lifecycleOf("<Rule><Status>enabled</Status><Filter/>" + days + "</Rule>"),
		"elements in a prefix":           ruleOf("<Filter><Prefix>a<b/></Prefix></Filter>" + days),
		"text between elements":          ruleOf("text<Filter><Prefix>a</Prefix></Filter>" + days),
		"an attribute":                   ruleOf(`<Filter type="all"><Prefix>a</Prefix></Filter>` + days),
		"an entity":                      `<!DOCTYPE d [<!ENTITY e "">]>` + ruleOf("<Filter><Prefix>&e;</Prefix></Filter>"+days),
	} {
		if _, _, err := parseLifecycle([]byte(doc)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestTheStoreGetsTheLifecycleConfigurationThatWasUnderstood(t *testing.T) {
	t.Parallel()
	var got string
	f := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("lifecycle") {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		got = string(body)
		return true
	}}
	s := proxyBefore(t, f, "us-east-1")
	sent := `<?xml version="1.0"?>
<a:LifecycleConfiguration xmlns:a="` + s3xml.Namespace + `"><!-- rules -->
  <a:Rule><a:ID>one &amp; two</a:ID><a:Filter><a:And><a:Prefix>l<!-- -->ogs/
</a:Prefix><a:Tag><a:Key>k</a:Key><a:Value> v </a:Value></a:Tag></a:And></a:Filter><a:Status>Enabled</a:Status>
  <a:Expiration><a:Days>3</a:Days></a:Expiration></a:Rule>
</a:LifecycleConfiguration><Rule/>`
	want := lifecycleOf("<Rule><ID>one &amp; two</ID><Filter><And><Prefix>logs/&#xA;</Prefix><Tag><Key>k</Key><Value> v </Value></Tag></And></Filter><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>")
	if resp, text := ask(t, s, "PUT", "/bucket?lifecycle=", []byte(sent)); resp.StatusCode != http.StatusOK || got != want {
		t.Errorf("%s %s: the store got\n%s\nwant\n%s", resp.Status, text, got, want)
	}
	got = ""
	resp, text := ask(t, s, "PUT", "/bucket?lifecycle=", []byte(ruleOf("<Filter/><Expiration><Days>1</Days></Expiration>")))
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, "ObjectSizeGreaterThan of at least "+fmt.Sprint(largestState)) || got != "" {
		t.Errorf("%s %s: the store got %q", resp.Status, text, got)
	}
}

// What goes to the store must read there as it was read here.
func FuzzLifecycle(f *testing.F) {
	f.Add([]byte(ruleOf("<Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><ObjectSizeGreaterThan>7</ObjectSizeGreaterThan></And></Filter><Expiration><Days>1</Days></Expiration>")))
	f.Add([]byte(ruleOf("<Prefix/><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>")))
	f.Add([]byte(`<a:LifecycleConfiguration xmlns:a="` + s3xml.Namespace + `"><a:Rule><a:Status>Disabled</a:Status><a:Prefix>x<!-- -->&#13;&lt;</a:Prefix></a:Rule></a:LifecycleConfiguration>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, rules, err := parseLifecycle(body)
		if err != nil {
			return
		}
		again, same, err := parseLifecycle(doc)
		if err != nil || !bytes.Equal(doc, again) || !slices.Equal(rules, same) {
			t.Errorf("%q is read as %+v; %q as %+v, %v", body, rules, doc, same, err)
		}
	})
}
