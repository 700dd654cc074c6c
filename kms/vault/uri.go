package vault

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// parseURI reads vault://MOUNT/KEY.
func parseURI(uri *url.URL) (mount, key string, err error) {
	const want = "write vault://MOUNT/KEY, as vault://transit/photos; Vault's address is in VAULT_ADDR"
	switch {
	case uri.Scheme != Scheme:
		return "", "", fmt.Errorf("scheme %q: %s", uri.Scheme, want)
	case uri.User != nil, uri.Port() != "", uri.RawQuery != "", uri.ForceQuery, uri.Fragment != "", uri.RawPath != "", uri.Opaque != "":
		return "", "", fmt.Errorf("it has more than a mount and a key: %s", want)
	}
	elements := strings.Split(uri.Host+uri.Path, "/")
	if len(elements) < 2 || slices.ContainsFunc(elements, func(e string) bool {
		return e == "" || e == "." || e == ".." || strings.ContainsFunc(e, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`#?%"\`, r) })
	}) {
		return "", "", fmt.Errorf("it does not have a mount and a key: %s", want)
	}
	last := len(elements) - 1
	return strings.Join(elements[:last], "/"), elements[last], nil
}
