package proxy

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/s3proxy/s3proxy/proxy/multipart"
)

// Transfer is a request that is being answered: of a client whose signature was right, or of one
// without where that is allowed.
type Transfer struct {
	ID        string // as in Served
	Start     time.Time
	Client    string // the access key id
	Operation string
	Bucket    string
	Key       string
	// Received and Sent are bytes of the two bodies so far. ToReceive and ToSend are what they
	// will have; 0 for none, and for what is not known.
	Received, ToReceive int64
	Sent, ToSend        int64
}

// running is the set of requests that are being answered.
type running struct {
	mu  sync.Mutex
	all map[*noted]entry
}

// entry is what does not change of a request, and where the rest is found.
type entry struct {
	Transfer
	noted  *noted
	answer *answer
	head   bool // a HEAD's answer tells the length of a body that it has not
}

func newRunning() *running { return &running{all: map[*noted]entry{}} }

func (r *running) add(x *exchange) {
	t := Transfer{
		ID: x.id, Start: time.Now(), Client: x.auth.AccessKeyID, Operation: x.op.name, Bucket: x.bucket.String(), Key: x.key.String(),
		ToReceive: max(x.r.ContentLength, 0),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[x.noted] = entry{t, x.noted, x.w, x.r.Method == http.MethodHead}
}

func (r *running) remove(x *exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, x.noted)
}

// Running gives the requests that are being answered, the oldest first.
func (p *Proxy) Running() []Transfer {
	p.running.mu.Lock()
	all := make([]Transfer, 0, len(p.running.all))
	for _, e := range p.running.all {
		t := e.Transfer
		t.Received, t.Sent = e.noted.received.Load(), e.answer.bytes.Load()
		if !e.head {
			t.ToSend = e.answer.length.Load()
		}
		all = append(all, t)
	}
	p.running.mu.Unlock()
	slices.SortFunc(all, func(a, b Transfer) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID)) })
	return all
}

// SweepState tells how far SweepUploads is.
type SweepState = multipart.SweepState

// Sweep tells how far SweepUploads is.
func (p *Proxy) Sweep() SweepState { return p.uploads.Sweep() }
