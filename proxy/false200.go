package proxy

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// truthful remembers which stores refuse to complete an upload that they do not have.
// versitygw 1.8 says 200 to that where an object stands at the key.
var truthful sync.Map // *upstream.Client -> bool

// probeFalse200 tells whether the store's 200 to a Complete means something. It is asked
// once for a Complete that cannot be: of this upload at the key of an object of our own,
// which is of this one probe. A store that says 200 to that says it always.
func (c *completion) probeFalse200(ctx context.Context) (bool, error) {
	u := c.u
	if known, ok := truthful.Load(u.Upstream); ok {
		return known.(bool), nil
	}
	stateBucket, folder := u.folder()
	name := folder + "probe-" + rand.Text()
	if err := u.State().Put(ctx, stateBucket, name, &upstream.Request{}); err != nil {
		return false, during(stepCheckObject, err)
	}
	defer func() {
		if err := u.State().Remove(ctx, stateBucket, name); err != nil {
			c.log.Warn("what is left of a probe is swept later", "bucket", stateBucket, "key", name, "error", err)
		}
	}()
	list := s3xml.CompleteUpload{Xmlns: s3xml.Namespace}
	list.Add(1, strings.Repeat("0", 32))
	doc, err := xml.Marshal(list)
	if err != nil {
		return false, err
	}
	req, err := u.State().Request(http.MethodPost, stateBucket, name)
	if err != nil {
		return false, err
	}
	req.UploadID, req.Header, req.Bytes = u.ID, http.Header{"Content-Type": {"application/xml"}}, doc
	resp, err := u.Upstream.Do(ctx, req)
	truth := false
	switch status, refused := upstream.Status(err); {
	case err == nil:
		answer, err := io.ReadAll(io.LimitReader(resp.Body, s3xml.MaxBytes))
		resp.Body.Close()
		if err != nil {
			return false, during(stepCheckObject, s3err.ServiceUnavailable.Because(err))
		}
		truth = s3err.InDocument(answer) != nil
	case refused && status < http.StatusInternalServerError:
		truth = true
	default:
		return false, during(stepCheckObject, err)
	}
	truthful.Store(u.Upstream, truth)
	return truth, nil
}
