package multipart

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// probeFalse200 finds out whether the store's 200 to a Complete means anything. It sends, once, a
// Complete that cannot succeed: with this upload's id at the key of a state object made for this
// probe. A store that answers 200 to that always answers 200: versitygw 1.8 does so if there is an
// object at the key.
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
	doc, err := s3xml.Marshal(&list)
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
