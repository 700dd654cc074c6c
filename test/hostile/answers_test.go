package hostile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/s3proxy/s3proxy/test/lab"
)

var etagElement = regexp.MustCompile(`<ETag>[^<]*</ETag>`)

// answerLies are false answers from a store that has done as it was told.
func answerLies() (all []lie) {
	add := func(name string, tell lab.Lie) { all = append(all, lie{name: name, tell: tell}) }
	header := func(name, value string) {
		add(name+": "+value, func(a *lab.Reply) { a.Header.Set(name, value) })
	}
	document := func(name, text string) {
		add(name, func(a *lab.Reply) { a.SetBody([]byte(text)) })
	}
	for _, etag := range []string{`"00000000000000000000000000000000"`, `"0-1"`, "bare", `W/"weak"`, `""`} {
		header("ETag", etag)
		add("a document with the ETag "+etag, func(a *lab.Reply) {
			a.SetBody(etagElement.ReplaceAll(a.Body, []byte("<ETag>"+etag+"</ETag>")))
		})
	}
	add("no ETag", func(a *lab.Reply) { a.Header.Del("ETag") })
	add("a document without an ETag", func(a *lab.Reply) { a.SetBody(etagElement.ReplaceAll(a.Body, nil)) })
	header("X-Amz-Version-Id", "null")
	header("X-Amz-Version-Id", "3f2b1a7c-0000-4000-8000-000000000000")
	header("X-Amz-Version-Id", "../../elsewhere/object")
	header("X-Amz-Version-Id", strings.Repeat("v", 3000))
	header("X-Amz-Checksum-Crc32", "AAAAAA==")
	header("X-Amz-Object-Size", "1")
	header("X-Amz-Server-Side-Encryption", "AES256")
	header("Content-Length", "1")
	document("an empty body", "")
	document("an error in a 200", `<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>`)
	document("an error that would be tried again, in a 200", `<Error><Code>SlowDown</Code></Error>`)
	document("a web page", "<!DOCTYPE html><html><body>Welcome</body></html>")
	document("another root", `<Result><ETag>"0"</ETag></Result>`)
	document("deep elements", strings.Repeat("<a>", 200_000))
	document("no XML", "\x00\x01OK")
	add("half the document", func(a *lab.Reply) { a.SetBody(a.Body[:len(a.Body)/2]) })
	add("a body in gzip", func(a *lab.Reply) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(a.Body)
		z.Close()
		a.SetBody(b.Bytes())
		a.Header.Set("Content-Encoding", "gzip")
	})
	add("a body without end", func(a *lab.Reply) { a.Endless = true; a.Header.Del("Content-Length") })
	add("no answer", func(a *lab.Reply) { a.Cut = true })
	for _, status := range []int{201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 403, 404, 409, 412, 500, 501, 503} {
		add(fmt.Sprintf("status %d", status), func(a *lab.Reply) {
			a.Status = status
			if status/100 == 3 && status != 304 {
				a.Header.Set("Location", "/elsewhere/object")
			}
			if status == 204 || status == 304 {
				a.Body = nil
				a.Header.Del("Content-Length")
			}
		})
	}
	return all
}

// when tells a lie only in the answers to the requests that which picks.
func when(l lie, which func(*http.Request) bool) lab.Lie {
	return func(a *lab.Reply) {
		if which(a.Request) {
			l.tell(a)
		}
	}
}

// aboutLarge tells lies only in large answers, so that an object's end is read honestly.
func aboutLarge(lies []lie) (all []lie) {
	for _, l := range lies {
		all = append(all, lie{name: l.name + ", but not at the end", bytes: l.bytes, tell: func(a *lab.Reply) {
			if len(a.Body) > 2000 {
				l.tell(a)
			}
		}})
	}
	return all
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
