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

// statusForeign is not a status of HTTP. refuseForeign puts it in the place of a status that
// Vault did not give, with one text that says what was answered instead.
const statusForeign = 599

// refuseForeign makes an error of an answer that is not Vault's own, since the client library
// would take it for one: another server's page for a refusal; an empty 404 or 200, or a redirect
// that is not followed, for an empty answer, which means "no such key". (With
// VAULT_DISABLE_REDIRECTS no redirect is followed, else one in a row.) Vault's errors are JSON
// with a list of texts or, for a path that does not exist, with warnings.
func refuseForeign(resp *api.Response) {
	if resp.StatusCode < http.StatusMultipleChoices && (resp.StatusCode != http.StatusOK || resp.ContentLength != 0) {
		return
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // a truncated answer is not Vault's either
	_ = resp.Body.Close()
	var answer struct {
		Errors    *[]string `json:"errors"`
		RequestID string    `json:"request_id"`
	}
	said := strings.TrimSuffix(fmt.Sprintf("got the answer %d, which is not Vault's: %s", resp.StatusCode, short(string(body))), ": ")
	switch {
	case resp.StatusCode == http.StatusOK:
	case resp.StatusCode < http.StatusBadRequest:
		said = fmt.Sprintf("got the answer %d, a redirect to %s that is not followed", resp.StatusCode, resp.Header.Get("Location"))
	case json.Unmarshal(body, &answer) == nil && (answer.Errors != nil || answer.RequestID != ""):
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return
	}
	body, _ = json.Marshal(api.ErrorResponse{Errors: []string{said}}) // strings always marshal
	resp.StatusCode, resp.Body = statusForeign, io.NopCloser(bytes.NewReader(body))
}

// short puts a text into one line, and keeps only enough of it to tell what page it is.
func short(text string) string {
	if text = strings.Join(strings.Fields(text), " "); len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "")
	}
	return text
}
