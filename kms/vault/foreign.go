package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"
)

// statusForeign is no status of HTTP. refuseForeign puts it in the place of one that Vault
// did not give; then what was answered instead is in the one text beside it.
const statusForeign = 599

// refuseForeign makes an error of what is not Vault's own answer, which the client library
// would take for one: another server's page for a refusal; an empty 404 or 200, or a redirect
// that is not followed, for an answer that holds nothing, which stands for "no such key".
// (With VAULT_DISABLE_REDIRECTS no redirect is followed, else one in a row.) Vault's errors
// are JSON with a list of texts, or of a path that is not there, with warnings.
func refuseForeign(resp *api.Response) {
	if resp.StatusCode < http.StatusMultipleChoices && (resp.StatusCode != http.StatusOK || resp.ContentLength != 0) {
		return
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // half of one is not Vault's either
	_ = resp.Body.Close()
	var answer struct {
		Errors    *[]string `json:"errors"`
		RequestID string    `json:"request_id"`
	}
	said := strings.TrimSuffix(fmt.Sprintf("answer %d, which is not Vault's: %s", resp.StatusCode, short(string(body))), ": ")
	switch {
	case resp.StatusCode == http.StatusOK:
	case resp.StatusCode < http.StatusBadRequest:
		said = fmt.Sprintf("answer %d, a redirect to %s that is not followed", resp.StatusCode, resp.Header.Get("Location"))
	case json.Unmarshal(body, &answer) == nil && (answer.Errors != nil || answer.RequestID != ""):
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return
	}
	body, _ = json.Marshal(api.ErrorResponse{Errors: []string{said}}) // strings always marshal
	resp.StatusCode, resp.Body = statusForeign, io.NopCloser(bytes.NewReader(body))
}

// short is a text in one line, and no more of it than tells what page it is.
func short(text string) string {
	if text = strings.Join(strings.Fields(text), " "); len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "")
	}
	return text
}
