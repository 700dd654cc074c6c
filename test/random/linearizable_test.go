package random

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// oneKey is the state of an object for its readers and writers: a body and metadata, each with the
// number of the write that made it; zero means that there is no object.
type oneKey struct{ body, meta int }

// access is one call to the key. For a write, wrote is what it makes; an update keeps the body. For
// a read, saw is what it got; -1 stands for what the answer does not show.
type access struct {
	what     string
	wrote    oneKey
	saw      oneKey
	isRead   bool
	isUpdate bool
	end      end
}

// end is the outcome of a write.
type end int

const (
	done    end = iota
	refused     // nothing changed
	absent      // nothing changed, because there was no object
	unknown     // 5xx, or no answer
)

// ofOneKey is S3's promise for a single key: a register in which each call sees the last write.
var ofOneKey = porcupine.NondeterministicModel{
	Init: func() []any { return []any{oneKey{}} },
	Step: func(state, input, _ any) []any {
		now, a := state.(oneKey), input.(access)
		if a.isRead {
			if a.saw.body != -1 && a.saw.body != now.body || a.saw.meta != -1 && a.saw.meta != now.meta {
				return nil
			}
			return []any{now}
		}
		next := a.wrote
		if a.isUpdate {
			next.body = now.body
		}
		impossible := a.isUpdate && now == oneKey{}
		switch {
		case a.end == refused, a.end == unknown && impossible, a.end == absent && now == oneKey{}:
			return []any{now}
		case a.end == absent, impossible:
			return nil
		case a.end == unknown:
			return []any{now, next}
		}
		return []any{next}
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// contenders are clients of several replicas that contend for the same key.
type contenders struct {
	t        *testing.T
	replicas []lab.S3
	bucket   string
	number   atomic.Int64 // of the last write
}

// bodyOf is the body of write n: its length and each of its words reveal the number.
func bodyOf(n int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%08d ", n), 100) + strings.Repeat(".", n%1000))
}

func (c *contenders) call(random *rand.Rand, method, key, query string, headers map[string]string, body []byte) s3test.Answer {
	at := c.replicas[random.IntN(len(c.replicas))]
	return s3test.Call{Method: method, Path: "/" + c.bucket + "/" + key, Query: query, Headers: headers, Body: body}.Do(c.t, at)
}

// history records the calls to one key by so many clients, each making so many calls.
func (c *contenders) history(key string, clients, calls int) []porcupine.Operation {
	var mu sync.Mutex
	var all []porcupine.Operation
	var group sync.WaitGroup
	begin := time.Now()
	for i := range clients {
		random := rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
		group.Go(func() {
			for range calls {
				prepared := c.prepare(random, key)
				if prepared == nil {
					continue
				}
				called := time.Since(begin).Nanoseconds()
				a, told := prepared()
				returned := time.Since(begin).Nanoseconds()
				if !told {
					continue
				}
				if a.end == unknown {
					returned = time.Hour.Nanoseconds()
				}
				mu.Lock()
				all = append(all, porcupine.Operation{ClientId: i, Input: a, Call: called, Return: returned})
				mu.Unlock()
				time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
			}
		})
	}
	group.Wait()
	return all
}

// prepare chooses a call and returns a function that makes it. The function returns false for a
// read that failed.
func (c *contenders) prepare(random *rand.Rand, key string) func() (access, bool) {
	if random.IntN(2) == 0 {
		return func() (access, bool) { return c.read(random, key) }
	}
	n := int(c.number.Add(1))
	meta := map[string]string{"x-amz-meta-n": fmt.Sprint(n)}
	write := func(what string, wrote oneKey, isUpdate bool, method, query string, headers map[string]string, body []byte) func() (access, bool) {
		return func() (access, bool) {
			return access{what: what, wrote: wrote, isUpdate: isUpdate, end: endOf(c.call(random, method, key, query, headers, body))}, true
		}
	}
	switch random.IntN(6) {
	case 0:
		return write("delete", oneKey{}, false, "DELETE", "", nil, nil)
	case 1:
		// Each copy has its own source. Copies of one object inside the store have the same ETag,
		// so a renewal that meets the second copy may write the first one's metadata
		// (docs/KEYS.md).
		source := fmt.Sprintf("source-%d", n)
		if a := c.call(random, "PUT", source, "", nil, bodyOf(n)); a.Status != 200 {
			return nil
		}
		meta["x-amz-copy-source"], meta["x-amz-metadata-directive"] = c.bucket+"/"+source, "REPLACE"
		return write("copy", oneKey{n, n}, false, "PUT", "", meta, nil)
	case 2:
		meta["x-amz-copy-source"], meta["x-amz-metadata-directive"] = c.bucket+"/"+key, "REPLACE"
		return write("update", oneKey{0, n}, true, "PUT", "", meta, nil)
	case 3:
		id := s3test.UploadID(c.call(random, "POST", key, "uploads", meta, nil))
		part := c.call(random, "PUT", key, "partNumber=1&uploadId="+id, nil, bodyOf(n))
		if id == "" || part.Status != 200 {
			return nil // an upload that has not got this far is invisible
		}
		list := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + s3test.XMLText(part.Header.Get("ETag")) + "</ETag></Part></CompleteMultipartUpload>"
		return write("complete", oneKey{n, n}, false, "POST", "uploadId="+id, nil, []byte(list))
	}
	return write("put", oneKey{n, n}, false, "PUT", "", meta, bodyOf(n))
}

func endOf(a s3test.Answer) end {
	switch {
	case a.Status == 0, a.Err != nil, a.Status >= 500:
		return unknown
	case a.Code == "NoSuchKey":
		return absent
	case a.Status >= 300:
		return refused
	case strings.Contains(string(a.Body), "<Error>"):
		return unknown // the answer began with 200
	}
	return done
}

// read makes a GET, a GET of a range or a HEAD.
func (c *contenders) read(random *rand.Rand, key string) (access, bool) {
	what := []string{"GET", "GET", "range", "HEAD"}[random.IntN(4)]
	method, headers := "GET", map[string]string{}
	switch what {
	case "HEAD":
		method = "HEAD"
	case "range":
		headers["range"] = "bytes=450-457"
	}
	a := c.call(random, method, key, "", headers, nil)
	if a.Status == 404 {
		return access{what: what, isRead: true}, true
	}
	if a.Status != 200 && a.Status != 206 || a.Err != nil {
		return access{}, false
	}
	saw := oneKey{body: -1}
	if _, err := fmt.Sscan(a.Header.Get("x-amz-meta-n"), &saw.meta); err != nil {
		c.t.Errorf("%s of %s: metadata %v", what, key, a.Header)
		return access{}, false
	}
	if what != "HEAD" {
		if _, err := fmt.Sscanf(string(a.Body[:min(8, len(a.Body))]), "%d", &saw.body); err != nil || what == "GET" && string(a.Body) != string(bodyOf(saw.body)) {
			c.t.Errorf("%s of %s: a body that nobody wrote: %.20q (%v)", what, key, a.Body, err)
		}
	}
	return access{what: what, isRead: true, saw: saw}, true
}

// TestOneKeyIsLinearizableThroughThreeReplicas lets clients contend for keys while commands write
// all objects again, and searches for an order of the calls that explains all answers.
func TestOneKeyIsLinearizableThroughThreeReplicas(t *testing.T) {
	if lab.Direct {
		t.Skip("there are no replicas")
	}
	t.Parallel()
	during := 4 * time.Second
	if lab.Long {
		during = 5 * time.Minute
	}
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			store := lab.SharedMinIO(t)
			keyset := "localfile://" + filepath.Join(t.TempDir(), "keyset.json")
			command := func(args ...string) {
				cmd := exec.Command(lab.S3proxy(t), append([]string{"keys"}, append(args, "--kms", keyset, "--upstream", store.URL, "--data-dir", t.TempDir())...)...)
				cmd.Env = store.S3().Env()
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Logf("%v: %v: %.300s", args, err, out)
				}
			}
			command("create")
			c := &contenders{t: t}
			for range 3 {
				c.replicas = append(c.replicas, lab.Proxy(t, lab.ProxyOptions{Upstream: store, Args: []string{"--kms", keyset, "--etag", mode, "--key-window-objects", "50"}}).S3())
			}
			c.bucket = s3test.NewBucket(t, c.replicas[0])
			until := time.Now().Add(during)
			var commands sync.WaitGroup
			commands.Go(func() {
				for i := 1; time.Now().Before(until); i++ {
					if lab.Long && i%4 == 0 {
						command("rekey", "--new-version", "--settle", "10s", "s3://"+c.bucket)
						continue
					}
					command("rotate", "--objects", "--new-version", "--settle", "0", "s3://"+c.bucket)
				}
			})
			histories, calls, open := 0, 0, 0
			for ; time.Now().Before(until); histories++ {
				h := c.history(fmt.Sprintf("key-%d", histories), 6, 12)
				calls += len(h)
				for _, o := range h {
					if o.Input.(access).end == unknown {
						open++
					}
				}
				if result := porcupine.CheckOperationsTimeout(ofOneKey.ToModel(), h, 30*time.Second); result != porcupine.Ok {
					t.Errorf("history %d is %s:", histories, result)
					for _, o := range h {
						t.Logf("client %d, %9d to %9d: %+v", o.ClientId, o.Call/1000, o.Return/1000, o.Input)
					}
					break
				}
			}
			commands.Wait()
			t.Logf("%d histories, %d calls, %d of unknown end", histories, calls, open)
		})
	}
}

// The check above can fail: it detects a lost write, and body and metadata from different writes.
func TestAnUnexplainedReadIsNotLinearizable(t *testing.T) {
	read := func(saw oneKey) access { return access{what: "GET", isRead: true, saw: saw} }
	put := func(n int, end end) access { return access{what: "put", wrote: oneKey{n, n}, end: end} }
	update := func(n int, end end) access {
		return access{what: "update", wrote: oneKey{0, n}, isUpdate: true, end: end}
	}
	for name, c := range map[string]struct {
		calls []access
		want  bool
	}{
		"all in order":                         {[]access{put(1, done), update(2, done), read(oneKey{1, 2}), put(3, done), read(oneKey{3, 3})}, true},
		"a lost write":                         {[]access{put(1, done), put(2, done), read(oneKey{1, 1})}, false},
		"a lost update":                        {[]access{put(1, done), update(2, done), read(oneKey{1, 1})}, false},
		"body and metadata of two writes":      {[]access{put(1, done), put(2, done), read(oneKey{2, 1})}, false},
		"a refused write that is there":        {[]access{put(1, done), put(2, refused), read(oneKey{2, 2})}, false},
		"an unknown write that is there":       {[]access{put(1, done), put(2, unknown), read(oneKey{2, 2})}, true},
		"an unknown write that is not there":   {[]access{put(1, done), put(2, unknown), read(oneKey{1, 1})}, true},
		"an object that was not there, and is": {[]access{put(1, done), update(2, absent)}, false},
	} {
		var history []porcupine.Operation
		for i, a := range c.calls {
			history = append(history, porcupine.Operation{Input: a, Call: int64(2 * i), Return: int64(2*i + 1)})
		}
		if got := porcupine.CheckOperations(ofOneKey.ToModel(), history); got != c.want {
			t.Errorf("%s is linearizable: %t", name, got)
		}
	}
}
