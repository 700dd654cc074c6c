package multipart

import (
	"context"
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// probeFalse200 tells whether the store's 200 to a Complete means something. It is asked
// once for a Complete that cannot be: of this upload at the key of an object of our own,
// which is of this one probe. A store that says 200 to that says it always: versitygw 1.8
// does, where an object stands at the key.
func (u *Upload) probeFalse200(ctx context.Context) (bool, error) {
	if known := u.Upstream.Learned.RefusesFalseCompletes.Load(); known != nil {
		return *known, nil
	}
	stateBucket, folder := u.folder()
	name := folder + "probe-" + rand.Text()
	if err := u.State().Put(ctx, stateBucket, name, &upstream.Request{}); err != nil {
		return false, during(stepCheckObject, err)
	}
	defer func() {
		if err := u.State().Remove(ctx, stateBucket, name); err != nil {
			u.warn("what is left of a probe is swept later", err)
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
	req.UploadID, req.Header, req.Bytes = u.store.ID, http.Header{"Content-Type": {"application/xml"}}, doc
	_, err = u.Upstream.Result(ctx, req, &s3xml.CompleteUploadResult{})
	truth := false
	switch status, refused := upstream.Status(err); {
	case err == nil:
	case refused && status < http.StatusInternalServerError:
		truth = true
	default:
		return false, during(stepCheckObject, err)
	}
	u.Upstream.Learned.RefusesFalseCompletes.Store(&truth)
	return truth, nil
}
