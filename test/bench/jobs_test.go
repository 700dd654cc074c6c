package bench

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
)

// job is what is done again and again, through each subject.
type job struct {
	name    string
	clients int                                            // side by side
	tls     bool                                           // on both sides of the proxies
	full    bool                                           // not in the quick run
	large   bool                                           // with BENCH_LARGE alone
	bulk    bool                                           // bytes count, not operations
	count   int                                            // operations of a sample; 0: as many as its time allows
	fresh   bool                                           // each sample begins with a proxy that was just started
	single  bool                                           // one sample is all there can be
	rate    bool                                           // an open loop: so many operations a second, fast or slow
	growth  string                                         // jobs that differ in the number of clients alone
	prepare func(w *world, st *stage, s *subject) error    // once for each subject
	do      func(s *subject, i int) (bytes int64, e error) // the i-th operation of a sample
}

func jobsOf(s settings) (jobs []job) {
	for _, j := range allJobs() {
		if (!j.full || !s.quick) && (!j.large || s.large) && s.jobs.MatchString(j.name) {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

func allJobs() []job {
	var jobs []job
	for _, size := range []struct {
		name    string
		bytes   int64
		clients int
	}{{"4 KiB", 4 * kib, 8}, {"1 MiB", mib, 8}, {"100 MiB", 100 * mib, 2}} {
		jobs = append(jobs, putAndGet(size.name, size.bytes, size.clients)...)
	}
	jobs = append(jobs, multipartJobs("256 MiB", 256*mib, 8*mib)...)
	jobs = append(jobs, rangesOf("64 KiB ranges of a PUT", "/put-100 MiB-0", whole(100*mib)), rangesOf("64 KiB ranges of a multipart object", "/multipart-256 MiB-0", content{256 * mib, 8 * mib}))
	jobs = append(jobs, listJobs()...)
	jobs = append(append(jobs, trailerJobs("", false)...), tlsJobs()...)
	for _, clients := range []int{1, 64, 512} {
		both := putAndGet("4 KiB", 4*kib, clients)
		for i := range both {
			both[i].name = fmt.Sprintf("%s, %s", both[i].name, plural(clients, "client"))
			both[i].full = clients == 512
		}
		jobs = append(jobs, both...)
	}
	jobs = append(jobs, mixed())
	jobs = append(jobs, readerJobs()...)
	jobs = append(jobs, partJobs()...)
	jobs = append(jobs, rateJobs()...)
	large := multipartJobs("1 GiB", 1024*mib, 16*mib)
	for i := range large {
		large[i].large = true
	}
	return append(jobs, large...)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// path is of an object of the subject's own.
func (s *subject) path(key string) string {
	return "/bench/" + s.folder() + strings.ReplaceAll(key, " ", "-")
}

var others = regexp.MustCompile("[^A-Za-z0-9]+")

// folder is what the subject's own objects are below.
func (s *subject) folder() string { return others.ReplaceAllString(s.name, "-") }

func putAndGet(name string, size int64, clients int) []job {
	c := whole(size)
	keys, read := max(clients, 64), 64
	if size > mib {
		keys, read = clients, clients
	}
	path := func(s *subject, i int) string { return s.path(fmt.Sprintf("/put-%s-%d", name, i)) }
	growth := ""
	if size == 4*kib {
		growth = "4 KiB"
	}
	put := func(s *subject, i int) (int64, error) {
		_, err := s.put(path(s, i%keys), c, 0, size, false)
		return size, err
	}
	get := func(s *subject, i int) (int64, error) { return size, s.get(path(s, i%read), c, 0, size) }
	write := func(_ *world, _ *stage, s *subject) error {
		return sideBySide(read, 8, func(i int) error { _, err := put(s, i); return err })
	}
	return []job{
		{name: "PUT " + name, clients: clients, bulk: size >= mib, growth: growth, do: put},
		{name: "GET " + name, clients: clients, bulk: size >= mib, growth: growth, prepare: write, do: get},
	}
}

func rangesOf(name, key string, c content) job {
	const n = 64 * kib
	return job{name: name, clients: 8, prepare: func(w *world, st *stage, s *subject) error {
		return w.once(st, s.name+key, func() error { return s.write(key, c) })
	},
		do: func(s *subject, i int) (int64, error) {
			off := rand.New(rand.NewPCG(uint64(i), 7)).Int64N(c.size - n)
			return n, s.get(s.path(key), c, off, n)
		}}
}

// mixed is 70 % GET, 25 % PUT and 5 % LIST of 100.
func mixed() job {
	c := whole(64 * kib)
	path := func(s *subject, i int) string { return s.path(fmt.Sprintf("/mixed/%02d", i%100)) }
	put := func(s *subject, i int) error { _, err := s.put(path(s, i), c, 0, c.size, false); return err }
	return job{
		name: "mixed: 70 % GET, 25 % PUT of 64 KiB, 5 % LIST of 100", clients: 16,
		prepare: func(_ *world, _ *stage, s *subject) error {
			return sideBySide(100, 8, func(i int) error { return put(s, i) })
		},
		do: func(s *subject, i int) (int64, error) {
			switch turn := i % 20; {
			case turn < 14:
				return c.size, s.get(path(s, i*7), c, 0, c.size)
			case turn < 19:
				return c.size, put(s, i*7)
			default:
				return 0, s.list("/bench?list-type=2&prefix="+s.name+"%2Fmixed%2F", objectList, 100)
			}
		},
	}
}

// rateJobs are open loops.
func rateJobs() (jobs []job) {
	for _, j := range putAndGet("4 KiB", 4*kib, 8) {
		j.name, j.rate, j.growth = j.name+" at a fixed rate", true, ""
		jobs = append(jobs, j)
	}
	return jobs
}

// listJobs are of objects that one proxy has written: the store's list is the same for all.
func listJobs() (jobs []job) {
	for _, n := range []int{1000, 100_000} {
		prefix := fmt.Sprintf("list-%d", n)
		prepare := func(w *world, st *stage, _ *subject) error {
			return w.once(st, prefix, func() error {
				writer := st.by(md5)
				return sideBySide(n, 32, func(i int) error {
					return writer.do(http.MethodPut, fmt.Sprintf("/bench/%s/%06d", prefix, i), []byte("a small object"))
				})
			})
		}
		list := func(s *subject, _ int) (int64, error) {
			return 0, s.list("/bench?list-type=2&prefix="+prefix+"%2F", objectList, n)
		}
		name := "LIST of 1,000"
		if n > 1000 {
			name = "LIST of 100,000"
		}
		first := job{name: name + ", first", clients: 1, count: 1, fresh: true, full: n > 1000, prepare: prepare, do: list}
		again := job{name: name, clients: 4, full: n > 1000, prepare: prepare, do: list}
		if n > 1000 {
			again.clients, again.count, again.name = 1, 1, name+", again"
		}
		jobs = append(jobs, first, again)
	}
	return jobs
}
