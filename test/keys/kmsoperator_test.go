package keys

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms/awskms/fakekms"
	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// kmsTrouble is a fault of a KMS under a running proxy, and its visible effects.
type kmsTrouble struct {
	uri     string
	env     []string
	begin   func()
	end     func() // nil: only a restart can put it right
	status  int    // that clients get for a new window
	says    []string
	warns   string // in the log, before any request fails
	private []string
}

// If the KMS refuses or is unreachable, /readyz and the log tell the operator why and what to do;
// the answers to clients reveal none of it.
func TestWhatTheOperatorOfAKMSSees(t *testing.T) {
	lab.TakesLong(t)
	t.Parallel()
	if lab.Direct {
		t.Skip("there are no keys without the proxy")
	}
	policy := func(v *lab.Vault, name string) {
		v.CreateKey(t, name)
		v.Policy(t, name, lab.VaultPolicy(t, name, false))
	}
	for name, start := range map[string]func(t *testing.T) kmsTrouble{
		"a token that expires": func(t *testing.T) kmsTrouble {
			v, key := lab.SharedVault(t), lab.FreeName("expires")
			policy(v, key)
			token := v.Token(t, []string{key}, 20*time.Second, 0, false)
			return kmsTrouble{
				uri: "vault://transit/" + key, env: []string{"VAULT_ADDR=" + v.URL, "VAULT_TOKEN=" + token},
				begin: func() { time.Sleep(21 * time.Second) }, status: 500, warns: "nobody makes a new one",
				says: []string{"the token has expired, was revoked"}, private: []string{token},
			}
		},
		"a revoked AppRole": func(t *testing.T) kmsTrouble {
			v, key := lab.SharedVault(t), lab.FreeName("revoked")
			policy(v, key)
			roleID, secretID := v.AppRole(t, key, []string{key}, 3*time.Second, 3*time.Second)
			return kmsTrouble{
				uri: "vault://transit/" + key, env: []string{"VAULT_ADDR=" + v.URL, "S3PROXY_VAULT_ROLE_ID=" + roleID, "S3PROXY_VAULT_SECRET_ID=" + secretID},
				begin: func() {
					v.Must(t, "DELETE", "auth/approle/role/"+key, nil)
					time.Sleep(4 * time.Second)
				},
				status: 500, warns: "could not be renewed", says: []string{"the login to Vault", "invalid role"}, private: []string{secretID},
			}
		},
		"a sealed Vault": func(t *testing.T) kmsTrouble {
			v := lab.NewVault(t)
			policy(v, "photos")
			token := v.Token(t, []string{"photos"}, time.Hour, time.Hour, true)
			return kmsTrouble{
				uri: "vault://transit/photos", env: []string{"VAULT_ADDR=" + v.URL, "VAULT_TOKEN=" + token},
				begin: func() { v.Seal(t) }, end: func() { v.Unseal(t) }, status: 503, says: []string{"sealed"}, private: []string{token},
			}
		},
		"a disabled AWS key": func(t *testing.T) kmsTrouble { return awsTrouble(t, fakekms.Disabled, "is disabled") },
		"an AWS key to be deleted": func(t *testing.T) kmsTrouble {
			return awsTrouble(t, fakekms.PendingDeletion, "is pending")
		},
		"an AWS key that is denied": func(t *testing.T) kmsTrouble { return awsTrouble(t, "", "AccessDeniedException", "alias/photos") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trouble := start(t)
			admin := lab.FreeAddress(t)
			store := lab.SharedVersitygw(t)
			args := []string{"--kms", trouble.uri, "--key-window", "1s", "--admin-listen", admin}
			p := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: trouble.env, Args: args})
			bucket := s3test.NewBucket(t, p.S3())
			s3test.RoundTrip(t, p.S3(), bucket, 1000)
			if status, text := readyz(t, admin); status != http.StatusOK {
				t.Fatalf("/readyz before: %d %s", status, text)
			}
			trouble.begin()
			if !strings.Contains(p.Log(), trouble.warns) {
				t.Errorf("nothing warned before a request failed, wanted %q:\n%s", trouble.warns, p.Log())
			}
			time.Sleep(2100 * time.Millisecond) // longer than the window, and than /readyz caches its result
			a := s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/refused", Body: []byte("x")}.Do(t, p.S3())
			if a.Status != trouble.status || trouble.status == 503 != (a.Header.Get("Retry-After") != "") {
				t.Errorf("a PUT: %v %v", a, a.Header)
			}
			for _, private := range append(trouble.says, "vault:", "arn:", "transit", "denied") {
				if strings.Contains(a.Text, private) {
					t.Errorf("the answer to the client contains %q: %s", private, a.Body)
				}
			}
			status, text := readyz(t, admin)
			for _, says := range trouble.says {
				if status != http.StatusOK || !strings.Contains(text, "warning: ") || !strings.Contains(text, says) {
					t.Errorf("/readyz of a proxy that can still read: %d %s, wanted a warning with %q", status, text, says)
				}
				if !strings.Contains(p.Log(), says) {
					t.Errorf("the log has no %q:\n%s", says, p.Log())
				}
			}
			// Existing objects remain readable: their window key is cached.
			s3test.MustGet(t, p.S3(), bucket, "k", s3test.Content(1000, 1000))
			// A command reports it likewise, and so does a proxy that starts now.
			out, code := lab.RunKeys(t, lab.ProxyOptions{Upstream: store, Env: trouble.env, Args: args}, "rotate", "s3://"+bucket)
			if code != 1 || !strings.Contains(out, trouble.says[0]) {
				t.Errorf("keys rotate: exit code %d: %s", code, out)
			}
			args[len(args)-1] = lab.FreeAddress(t)
			late := lab.Proxy(t, lab.ProxyOptions{Upstream: store, Env: trouble.env, Args: args})
			if status, text := readyz(t, args[len(args)-1]); status != http.StatusServiceUnavailable || !strings.Contains(text, trouble.says[0]) {
				t.Errorf("/readyz of a proxy that began then: %d %s", status, text)
			}
			for _, secret := range trouble.private {
				if strings.Contains(p.Log()+out+late.Log()+text, secret) {
					t.Errorf("a secret is shown")
				}
			}
			if a := s3test.Get(t, p.S3(), "/"+bucket+"/refused"); a.Status != http.StatusNotFound {
				t.Errorf("what was refused: %v", a)
			}
			if trouble.end == nil {
				return
			}
			trouble.end()
			for _, at := range []lab.S3{p.S3(), late.S3()} {
				eventually(t, "it is well again", func() bool {
					return s3test.Call{Method: http.MethodPut, Path: "/" + bucket + "/" + fmt.Sprint(time.Now().UnixNano()), Body: []byte("x")}.Do(t, at).Status == http.StatusOK
				})
			}
			eventually(t, "/readyz is well again", func() bool {
				status, _ := readyz(t, admin)
				return status == http.StatusOK
			})
		})
	}
}

// awsTrouble puts a key of the fake AWS KMS into a state, or denies access to it if state is "".
func awsTrouble(t *testing.T, state string, says ...string) kmsTrouble {
	uri, env, fake := lab.FakeKMS(t)
	arn := fake.CreateKey("", "")
	fake.Alias("alias/photos", arn)
	begin, end := func() { fake.SetState(arn, state) }, func() { fake.SetState(arn, fakekms.Enabled) }
	if state == "" {
		begin, end = func() { fake.Deny(arn) }, nil
	}
	return kmsTrouble{uri: uri, env: env, begin: begin, end: end, status: 500, says: says, private: []string{fakekms.SecretAccessKey}}
}

func readyz(t *testing.T, admin string) (status int, text string) {
	t.Helper()
	answer, err := http.Get("http://" + admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
