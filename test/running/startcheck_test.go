package running

import (
	"net"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// saysAtStart starts a proxy, which keeps running, and waits for its one line about what does not
// work.
func saysAtStart(t *testing.T, o lab.ProxyOptions, what, toDo string) *lab.ProxyProcess {
	t.Helper()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	p := lab.Proxy(t, o)
	awaitLog(t, p, "level=ERROR")
	awaitLog(t, p, " does not work")
	awaitLog(t, p, "\n")
	var found []string
	for line := range strings.Lines(p.Log()) {
		if strings.Contains(line, "level=ERROR") {
			found = append(found, line)
		}
	}
	if len(found) != 1 || !strings.Contains(found[0], what+" does not work: ") || !strings.Contains(found[0], toDo) {
		t.Errorf("want one line about %s that says %q:\n%s", what, toDo, p.Log())
	}
	if strings.Contains(p.Log(), lab.ClientSecretKey) {
		t.Error("a secret is in the log")
	}
	return p
}

func TestTheStartSaysWhatIsWrongWithTheStore(t *testing.T) {
	t.Parallel()
	hanging, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hanging.Close() })
	authority := lab.NewAuthority(t)
	for _, store := range lab.SharedStores(t) {
		secure := lab.SecureVersitygw(t, authority)
		if store.Name == "minio" {
			secure = lab.SecureMinIO(t, authority)
		}
		for name, c := range map[string]struct {
			url  string
			env  []string
			toDo string
		}{
			"another access key":   {store.URL, []string{"AWS_ACCESS_KEY_ID=nobody"}, "does not know the access key: correct AWS_ACCESS_KEY_ID"},
			"another secret":       {store.URL, []string{"AWS_SECRET_ACCESS_KEY=wrong"}, "correct AWS_SECRET_ACCESS_KEY"},
			"no credentials":       {store.URL, []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
			"TLS to plain http":    {strings.Replace(store.URL, "http:", "https:", 1), nil, "write http://"},
			"plain http to TLS":    {strings.Replace(secure.URL, "https:", "http:", 1), nil, "write https://"},
			"an unknown authority": {secure.URL, nil, "--upstream-ca"},
			"a path":               {store.URL + "/some-bucket", nil, "has the path /some-bucket"},
			"no such name":         {"http://no-such-host.invalid", nil, "mend DNS"},
			"nobody there":         {"http://" + lab.FreeAddress(t), nil, "nothing listens there"},
			"a server that hangs":  {"http://" + hanging.Addr().String(), nil, "does not answer in time"},
		} {
			t.Run(name+" "+store.Name, func(t *testing.T) {
				t.Parallel()
				saysAtStart(t, lab.ProxyOptions{Upstream: store, UpstreamURL: c.url, Env: c.env}, "the store", c.toDo)
			})
		}
	}
}

func TestTheStartSaysWhatIsWrongWithVault(t *testing.T) {
	t.Parallel()
	shared, store := lab.SharedVault(t), lab.SharedVersitygw(t)
	sealed := lab.NewVault(t)
	sealed.CreateKey(t, "photos")
	sealed.Seal(t)
	empty := lab.EmptyVault(t)
	shared.Policy(t, "nothing", `path "sys/nothing" { capabilities = ["read"] }`)
	token := shared.Must(t, "POST", "auth/token/create", map[string]any{"policies": []string{"nothing"}})["client_token"].(string)
	for name, c := range map[string]struct {
		env  []string
		toDo string
	}{
		"sealed":          {sealed.Env(), "vault operator unseal"},
		"not initialized": {empty.Env(), "vault operator init"},
		"no such key":     {shared.Env(), "make the key"},
		"not allowed":     {[]string{"VAULT_ADDR=" + shared.URL, "VAULT_TOKEN=" + token}, "its policy must allow"},
		"nobody there":    {[]string{"VAULT_ADDR=http://" + lab.FreeAddress(t), "VAULT_TOKEN=x"}, "nothing listens there"},
		"TLS":             {[]string{"VAULT_ADDR=" + strings.Replace(shared.URL, "http:", "https:", 1), "VAULT_TOKEN=x"}, "write http://"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := saysAtStart(t, lab.ProxyOptions{Upstream: store, Env: c.env, Args: []string{"--kms", "vault://transit/no-such-key-" + strings.ReplaceAll(name, " ", "-")}}, "the KMS", c.toDo)
			if strings.Contains(p.Log(), token) {
				t.Error("a token is in the log")
			}
		})
	}
}

func TestAStartWhereEverythingWorksSaysNothing(t *testing.T) {
	t.Parallel()
	for _, store := range lab.SharedStores(t) {
		p := lab.Proxy(t, lab.ProxyOptions{Upstream: store})
		s3test.RoundTrip(t, p.S3(), s3test.NewBucket(t, p.S3()), 1000)
		if strings.Contains(p.Log(), "level=ERROR") || strings.Contains(p.Log(), "level=WARN") {
			t.Errorf("%s:\n%s", store.Name, p.Log())
		}
	}
}
