package page

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/origin"
)

// Guard says who may see what only operators may.
type Guard struct {
	// Token gives the token that a request must show; nil: none is asked for.
	Token func() (string, error)
	// Wrong is told of a request that shows another token; nil: nobody is.
	Wrong func(r *http.Request)
	// Open says that a request may come without a token. It is asked only if Token is nil.
	Open func(r *http.Request) error
}

// Of gives a handler that serves only those who may see it.
func (g Guard) Of(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := ofThisSite(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if g.Token == nil {
			if err := g.Open(r); err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		token, err := g.Token()
		if err != nil {
			http.Error(w, "the admin token cannot be read: the log says why", http.StatusServiceUnavailable)
			return
		}
		if given := shown(r); !same(given, token) {
			if given != "" && g.Wrong != nil {
				g.Wrong(r)
			}
			w.Header().Add("WWW-Authenticate", `Basic realm="s3proxy (the password is the admin token)", charset="UTF-8"`)
			w.Header().Add("WWW-Authenticate", `Bearer realm="s3proxy"`)
			http.Error(w, "this needs the admin token: as a bearer token, or as the password of any user", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ofThisSite refuses what a web page of another site asks a browser for. Such a page may link
// here.
func ofThisSite(r *http.Request) error {
	if !origin.ByAnotherSite(r) || origin.IsLink(r) && r.URL.Path == "/" {
		return nil
	}
	return errors.New("a web page of another site may not ask for this")
}

// shown is the token that a request shows; "" for none.
func shown(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

// same compares in a time that does not depend on where the two differ, or how long they are.
func same(given, token string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	return token != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
