package proxy

import (
	"encoding/xml"
	"net/http"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// keepAliveEvery is how long a client hears nothing during a long Complete. After that it gets, as
// from S3, status 200 and white space, and the outcome at the end.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
const keepAliveEvery = 10 * time.Second

type keepAlive struct {
	end   chan struct{}
	ended sync.WaitGroup
	begun bool
}

// keepAlive begins to keep the connection alive; stop ends it and tells whether an
// answer was begun.
func (x *exchange) keepAlive() *keepAlive {
	k := &keepAlive{end: make(chan struct{})}
	k.ended.Go(func() {
		tick := time.NewTicker(keepAliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-k.end:
				return
			case <-tick.C:
			}
			text := " "
			if !k.begun {
				k.begun = true
				x.passCommon(http.Header{})
				x.w.Header().Set("Content-Type", "application/xml")
				x.w.WriteHeader(http.StatusOK)
				text = xml.Header
			}
			_, _ = x.w.Write([]byte(text))
			_ = http.NewResponseController(x.w).Flush()
		}
	})
	return k
}

func (k *keepAlive) stop() (begun bool) {
	close(k.end)
	k.ended.Wait()
	return k.begun
}

// answerXMLLate ends an answer that keepAlive has begun.
func (x *response) answerXMLLate(doc any) error {
	body, err := xml.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = x.w.Write(body)
	return err
}

// answerLate ends it with an error: clients of Complete look for one in a 200.
func (x *exchange) answerLate(e *s3err.Error) error {
	x.proxy.log.Warn("a request failed after its answer was begun", "id", x.id, "error", e)
	_, err := x.w.Write(e.Element(x.r.URL.Path, x.id, ""))
	return err
}
