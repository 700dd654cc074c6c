package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/inplace"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
	"github.com/s3proxy/s3proxy/test/lab"
)

// aclStore answers for an object's ACL in a real store's place, and keeps the headers that
// objects are made with.
type aclStore struct {
	mu     sync.Mutex
	status int // 0: the store answers itself
	answer string
	made   []http.Header
}

func (a *aclStore) see(w http.ResponseWriter, r *http.Request) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && q.Has("acl") && a.status != 0:
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.answer)
		return true
	case strings.Contains(r.URL.Path, "/.s3proxy/"):
	case r.Method == http.MethodPut && !q.Has("partNumber"), r.Method == http.MethodPost && q.Has("uploads"):
		a.made = append(a.made, r.Header.Clone())
	}
	return false
}

// set says what comes from now on, and gives what was made before.
func (a *aclStore) set(status int, answer string) (made []http.Header) {
	a.mu.Lock()
	defer a.mu.Unlock()
	made = a.made
	a.status, a.answer, a.made = status, answer, nil
	return made
}

const allUsers = "http://acs.amazonaws.com/groups/global/AllUsers"

// aclOf is the document of an ACL of the owner "us" with further grants.
func aclOf(more ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><AccessControlPolicy xmlns="` + s3xml.Namespace + `"><Owner><ID>us</ID><DisplayName>we</DisplayName></Owner><AccessControlList>` +
		grantOf("<ID>us</ID><DisplayName>we</DisplayName>", "FULL_CONTROL") + strings.Join(more, "") + `</AccessControlList></AccessControlPolicy>`
}

func grantOf(grantee, permission string) string {
	return `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` + grantee + `</Grantee><Permission>` + permission + `</Permission></Grant>`
}

func refusalOf(code string) string {
	return "<Error><Code>" + code + "</Code><Message>as it is said</Message></Error>"
}

func TestARenewedObjectKeepsItsACL(t *testing.T) {
	t.Parallel()
	for name, start := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			renewUnderACLs(t, start(t))
		})
	}
}

func renewUnderACLs(t *testing.T, store *lab.Store) {
	a := &aclStore{}
	p := before(t, inFront(t, store, a.see))
	p.largePut, p.largePart = 8<<20, 6<<20 // so that the store has parts
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	b := p.others.Settings
	mustAsk(t, s, "PUT", "/bucket", nil)
	bodies := map[string][]byte{"small": randomBytes(1, 1000), "parts": randomBytes(2, 14<<20)}
	for key, body := range bodies {
		mustAsk(t, s, "PUT", "/bucket/"+key, body)
	}
	for name, c := range map[string]struct {
		status int
		answer string
		grants map[string]string
		fails  string
	}{
		"public, and a grantee": {200, aclOf(grantOf("<URI>"+allUsers+"</URI>", "READ"), grantOf("<ID>they</ID>", "READ"), grantOf("<ID>they</ID>", "READ_ACP")), map[string]string{
			"X-Amz-Grant-Full-Control": `id="us"`, "X-Amz-Grant-Read": `id="they", uri="` + allUsers + `"`, "X-Amz-Grant-Read-Acp": `id="they"`,
		}, ""},
		"another's full control":  {200, aclOf(grantOf("<ID>they</ID>", "FULL_CONTROL")), map[string]string{"X-Amz-Grant-Full-Control": `id="they", id="us"`}, ""},
		"the owner's alone":       {200, aclOf(), nil, ""},
		"the store's own answer":  {0, "", nil, ""},
		"no such thing":           {404, refusalOf("NoSuchKey"), nil, ""},
		"no such method":          {405, refusalOf("MethodNotAllowed"), nil, ""},
		"not supported":           {400, refusalOf("AccessControlListNotSupported"), nil, ""},
		"another 400":             {400, refusalOf("InvalidArgument"), nil, "InvalidArgument"},
		"a missing right":         {403, refusalOf("AccessDenied"), nil, "s3:GetObjectAcl"},
		"too much at once":        {503, refusalOf("SlowDown"), nil, "SlowDown"},
		"what no header can name": {200, aclOf(grantOf("<ID>they</ID>", "SOMETHING")), nil, "SOMETHING"},
		"what would end a header": {200, aclOf(grantOf(`<ID>they", id="all</ID>`, "READ")), nil, "READ"},
	} {
		for key, body := range bodies {
			a.set(c.status, c.answer)
			err := inplace.NewRenewer(b, state.Place{}).Renew(t.Context(), "bucket", key, rewrapped(b.Keyring, key))
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("%s, %s: %v", name, key, err)
			}
			made := a.set(0, "")
			if c.fails != "" {
				if len(made) != 0 {
					t.Errorf("%s, %s: something was written", name, key)
				}
				continue
			}
			if len(made) != 1 {
				t.Errorf("%s, %s: written %d times", name, key, len(made))
				continue
			}
			for _, header := range []string{"X-Amz-Acl", "X-Amz-Grant-Full-Control", "X-Amz-Grant-Read", "X-Amz-Grant-Read-Acp", "X-Amz-Grant-Write-Acp"} {
				if got := made[0].Get(header); got != c.grants[header] {
					t.Errorf("%s, %s: %s is %q, want %q", name, key, header, got, c.grants[header])
				}
			}
			if _, got := mustAsk(t, s, "GET", "/bucket/"+key, nil); got != string(body) {
				t.Errorf("%s, %s: %d bytes", name, key, len(got))
			}
		}
	}
}
