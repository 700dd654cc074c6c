package oldconfig

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const secret = "S3CR3T-0123456789"

// old is a configuration with a further field of the server and of the bucket.
func old(server, bucket string) string {
	return `{
	"Server": {"Address": "127.0.0.1", "Port": 18000` + server + `},
	"Buckets": {"photos": {"AccessKeyId": "AK", "SecretAccessKey": "` + secret + `"` + bucket + `}}
}`
}

func TestWhatTheOlderProgramAcceptedIsRead(t *testing.T) {
	o, err := Read([]byte(`{"server": {"ADDRESS": "127.0.0.1", "port": 18000, "AwsDomain": null},
		"Buckets": {"photos": {}, "films": {"RetryCount": -1, "Protocol": "http", "EncryptionKey": "00112233445566778899aabbccddeeff", "IAMRole": "r"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	photos, films := o.Buckets["photos"], o.Buckets["films"]
	if o.Address != "127.0.0.1" || o.Port != 18000 || o.AwsDomain != oldDomain || photos.Region != oldRegion || photos.Protocol != "https" || films.RetryCount != 0 || films.Protocol != "http" {
		t.Errorf("%+v %+v %+v", o, photos, films)
	}
}

func TestAMistakeIsNamedWithItsPlaceAndWithoutAnyValue(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown fields":      {old(`, "Adress": "x"`, `, "EncriptionKey": "`+secret+`", "Nested": {"a": ["`+secret+`"]}`), "Server.Adress at line 2, column "},
		"each of them":        {old("", `, "EncriptionKey": "`+secret+`", "x y": 1`), `Buckets.photos."x y" at line 3`},
		"the nearest":         {old("", `, "EncryptionKeys": "`+secret+`"`), "did you mean EncryptionKey?"},
		"twice":               {old("", `, "SecretAccessKey": "`+secret+`"`), "Buckets.photos.SecretAccessKey is given twice"},
		"twice in other case": {old(`, "address": "x"`, ""), "Server.Address is given twice"},
		"a bucket twice":      {`{"Server": {"Address": "a", "Port": 1}, "Buckets": {"photos": {}, "photos": {}}}`, "Buckets.photos is given twice"},
		"text for a number":   {old("", `, "RetryCount": "`+secret+`"`), "line 3, column"},
		"a number for text":   {old("", `, "Region": 123456`), "Buckets.photos.Region must be text"},
		"a fraction":          {old("", `, "RetryDelay": 1.5`), "RetryDelay must be a whole number"},
		"a large port":        {strings.Replace(old("", ""), "18000", "65536", 1), "Server.Port must be a whole number below 65536"},
		"text for a bool":     {old(`, "InsecureTLS": "yes"`, ""), "Server.InsecureTLS must be true or false"},
		"a list for text":     {old("", `, "Region": ["`+secret+`"]`), "Buckets.photos.Region must be text"},
		"text for an object":  {`{"Server": "` + secret + `"}`, "Server must be an object"},
		"no object at all":    {`["` + secret + `"]`, "the configuration must be an object"},
		"cut off":             {old("", "")[:60], "it ends too early"},
		"nothing":             {"", "it ends too early"},
		"no JSON":             {"listen: " + secret, "line 1, column 1: this is not JSON"},
		"more behind":         {old("", "") + secret, "there is more behind"},
		"no server":           {`{"Buckets": {}}`, "Server is missing"},
		"no buckets":          {`{"Server": {"Address": "a", "Port": 1}}`, "Buckets names none"},
		"a YAML line's end":   {`{"Server": {"Address": "a\u0085auth: none\u0085#", "Port": 1}, "Buckets": {"photos": {}}}`, "Server.Address is missing, or is no address"},
		"another":             {`{"Server": {"Address": "a\u2028auth: none", "Port": 1}, "Buckets": {"photos": {}}}`, "Server.Address is missing, or is no address"},
		"no port":             {`{"Server": {"Address": "a"}}`, "Server.Port is missing"},
		"no secret":           {`{"Server": {"Address": "a", "Port": 1}, "Buckets": {"photos": {"AccessKeyId": "` + secret + `"}}}`, "Buckets.photos.SecretAccessKey is missing"},
		"a protocol":          {old("", `, "Protocol": "`+secret+`"`), "Protocol must be http or https"},
		"a key":               {old("", `, "EncryptionKey": "`+secret+`"`), "Buckets.photos.EncryptionKey: the key is neither 16, 24 or 32 characters"},
		"a bucket's name":     {`{"Server": {"Address": "a", "Port": 1}, "Buckets": {"AWS bucket name": {}}}`, `Buckets."AWS bucket name": `},
		"a secret of lines":   {old("", `, "EncryptionKey": "0123456789\nABCDE"`), "more than one line"},
	} {
		_, err := Read([]byte(c.text))
		switch {
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case strings.Contains(err.Error(), secret), strings.Contains(err.Error(), "123456"), strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: a value is shown: %v", name, err)
		}
	}
}

func TestNoSecretIsInTheNewConfigurationNorInTheNotes(t *testing.T) {
	o, err := Read([]byte(`{"Server": {"Address": "::1", "Port": 18000, "AwsDomain": "s3.example.com:9000", "InsecureTLS": true}, "Buckets": {
		"a-http": {"AccessKeyId": "AK", "SecretAccessKey": "` + secret + `", "Protocol": "http", "Region": "eu: 'x' # y"},
		"b-https": {"EncryptionKey": "0123456789ABCDEF", "RetryCount": 500}}}`))
	if err != nil {
		t.Fatal(err)
	}
	made := o.Translate("/etc/s3proxy", func(string) bool { return true })
	if want := []string{"a-http.secret-access-key", "b-https.legacy-key"}; !slices.Equal(slices.Sorted(maps.Keys(made.Secrets)), want) {
		t.Errorf("files with secrets: %v", slices.Sorted(maps.Keys(made.Secrets)))
	}
	for name, value := range made.Secrets {
		if strings.Contains(string(made.Config), strings.TrimSpace(value)) || strings.Contains(strings.Join(made.Notes, "\n"), strings.TrimSpace(value)) {
			t.Errorf("the secret of %s is shown", name)
		}
	}
	var got map[string]any
	if err := yaml.Unmarshal(made.Config, &got); err != nil {
		t.Fatalf("%v\n%s", err, made.Config)
	}
	for name, want := range map[string]any{
		"listen": "[::1]:18000", "auth": "none", "forward-proxy": true, "forward-host": nil, "upstream": "http://s3.example.com:9000", "upstream-region": "eu: 'x' # y",
		"upstream-access-key-id": "AK", "upstream-attempts": 10, "upstream-insecure": nil, "kms": "localfile:///etc/s3proxy/keyset.json",
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	secure := got["buckets"].(map[string]any)["b-https"].(map[string]any)["upstream"].(map[string]any)
	if secure["url"] != "https://s3.example.com:9000" || secure["insecure"] != true || secure["credentials"] != nil {
		t.Errorf("%v", secure)
	}
}

func TestEachRegionOfAWSHasItsOwnEndpoint(t *testing.T) {
	o, err := Read([]byte(old("", `, "Region": "eu-central-1"`)))
	if err != nil {
		t.Fatal(err)
	}
	made := o.Translate("/d", func(string) bool { return true })
	for _, want := range []string{"url: https://s3.eu-central-1.amazonaws.com\n", "forward-host: [s3.amazonaws.com]\nconnect-host: [none]\n"} {
		if !strings.Contains(string(made.Config), want) {
			t.Errorf("no %q: %s", want, made.Config)
		}
	}
}

// Whatever is read ends without a panic, and what is made of it is YAML that has the address.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{old("", ""), old(`, "x": [1, {"y": null}]`, `, "EncryptionKey": "0123456789ABCDEF"`), "{", `{"Server":null}`, "", `{"Buckets":{"\ud800":{}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := Read(raw)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%q", err)
			}
			return
		}
		made := o.Translate("/d", func(string) bool { return false })
		var got map[string]any
		if err := yaml.Unmarshal(made.Config, &got); err != nil || got["listen"] != made.Listen || len(got["buckets"].(map[string]any)) != len(o.Buckets) {
			t.Errorf("%v: %s", err, made.Config)
		}
	})
}
