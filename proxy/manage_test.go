package proxy

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// managedBefore is a proxy before a fake store that answers everything, for a client that
// may manage or not.
func managedBefore(t *testing.T, f *fakeStore, manage bool) *httptest.Server {
	t.Helper()
	f.objects = map[string]fakeObject{}
	store := httptest.NewServer(f)
	t.Cleanup(store.Close)
	return proxyAt(t, store.URL, "us-east-1", func(c *Config) {
		c.Credential = func(id string) (Credential, bool) {
			return Credential{Secret: "secret", Manage: manage}, id == "client"
		}
	})
}

// requestOf is a request that the table takes for the operation.
func requestOf(op *operation) (path string) {
	path = "/bucket"
	if op.scope == onObject {
		path += "/key"
	}
	sep := "?"
	for _, mark := range op.marks {
		name, value, _ := strings.Cut(mark, "=")
		path += sep + name + "=" + value
		sep = "&"
	}
	return path
}

func TestSettingsOfBucketsAreChangedByManagingKeysAloneAndReadByAll(t *testing.T) {
	t.Parallel()
	store := &fakeStore{hook: func(w http.ResponseWriter, r *http.Request) bool { return true }}
	writer, manager := managedBefore(t, store, false), managedBefore(t, store, true)
	managed := 0
	rows := subresources()
	for i := range rows {
		op := &rows[i]
		if op.handle == nil {
			continue
		}
		writes := op.method != http.MethodGet
		wants := writes && (op.scope == onBucket || op.name == "PutObjectAcl")
		if op.manages != wants {
			t.Errorf("%s: needs manage: %v, want %v", op.name, op.manages, wants)
		}
		var body []byte
		if op.method == http.MethodPut || op.method == http.MethodPost {
			body = []byte(lifecycleOf(""))
		}
		before := len(store.asked)
		resp, text := ask(t, writer, op.method, requestOf(op), body)
		refused := resp.StatusCode == http.StatusForbidden && strings.Contains(text, "manage: true")
		if refused != wants || refused && len(store.asked) != before {
			t.Errorf("%s by a writer: %s %s; the store was asked %v", op.name, resp.Status, text, store.asked[before:])
		}
		if resp, text := ask(t, manager, op.method, requestOf(op), body); resp.StatusCode != http.StatusOK {
			t.Errorf("%s by a manager: %s %s", op.name, resp.Status, text)
		}
		if wants {
			managed++
		}
	}
	if managed < 38 {
		t.Errorf("%d operations need manage", managed)
	}
}

func TestAWriteThatGrantsOthersAccessNeedsAManagingKey(t *testing.T) {
	t.Parallel()
	writer, manager := managedBefore(t, &fakeStore{}, false), managedBefore(t, &fakeStore{}, true)
	for _, c := range []struct {
		name, value string
		manages     bool
	}{
		{"x-amz-acl", "private", false},
		{"x-amz-acl", "bucket-owner-full-control", false},
		{"x-amz-acl", "public-read", true},
		{"x-amz-acl", "public-read-write", true},
		{"x-amz-acl", "authenticated-read", true},
		{"x-amz-acl", "Private", true},
		{"x-amz-acl", "what-comes-next", true},
		{"x-amz-grant-read", `uri="` + allUsers + `"`, true},
		{"x-amz-grant-full-control", `id="they"`, true},
	} {
		for path, name := range map[string]string{"/bucket/k": "PUT", "/bucket/k?uploads=": "POST", "/bucket": "PUT"} {
			var body []byte
			if path == "/bucket/k" {
				body = []byte("text")
			}
			resp, text := ask(t, writer, name, path, body, c.name, c.value)
			if refused := resp.StatusCode == http.StatusForbidden && strings.Contains(text, "manage: true"); refused != c.manages {
				t.Errorf("%s %s with %s: %s by a writer: %s %s", name, path, c.name, c.value, resp.Status, text)
			}
			if resp, text := ask(t, manager, name, path, body, c.name, c.value); resp.StatusCode == http.StatusForbidden {
				t.Errorf("%s %s with %s: %s by a manager: %s %s", name, path, c.name, c.value, resp.Status, text)
			}
		}
	}
	for value, manages := range map[string]bool{"true": true, "TRUE": true, "1": true, "false": false} {
		resp, text := ask(t, writer, "DELETE", "/bucket/k", nil, "x-amz-bypass-governance-retention", value)
		if refused := resp.StatusCode == http.StatusForbidden && strings.Contains(text, "manage: true"); refused != manages {
			t.Errorf("a bypass of %s by a writer: %s %s", value, resp.Status, text)
		}
	}
	kind, body := encodeForm(t, append(signForm("bucket", "k", `{"acl": "public-read"}`), [2]string{"acl", "public-read"}), []byte("content"))
	for s, manages := range map[*httptest.Server]bool{writer: false, manager: true} {
		resp, err := http.Post(s.URL+"/bucket", kind, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if manages && resp.StatusCode != http.StatusNoContent || !manages && (resp.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "manage: true")) {
			t.Errorf("a form that publishes its file: %s %s", resp.Status, text)
		}
	}
}
