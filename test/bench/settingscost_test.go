package bench

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/s3proxy/s3proxy/test/lab"
)

// usual is the subject that all others are compared with.
const usual = "default"

// variant is a setting of the proxy, or a habit of its clients, that may cost something.
type variant struct {
	name  string
	set   proxySetting
	sends sending // of clients; empty: signed chunks
}

// variants are those of the table. Over https clients send a checksum behind unsigned chunks, as SDKs
// do there.
func (w *world) variants(secure *lab.Store, st *stage) []variant {
	args := func(a ...string) proxySetting { return proxySetting{args: a} }
	ca := []string{"--upstream-ca", st.certs.authority.File}
	collector := lab.NewCollector(w.b)
	crc32 := sending{trailer: "crc32"}
	return []variant{
		{name: usual},
		{name: "`--etag md5`", set: args("--etag", "md5")},
		{name: "`--key-window-objects 0`", set: args("--key-window-objects", "0")},
		{name: "`--upstream-payload signed`", set: args("--upstream-payload", "signed")},
		{name: "`--upstream-payload unsigned`", set: args("--upstream-payload", "unsigned")},
		{name: "`--audit-log`", set: args("--audit-log", filepath.Join(w.b.TempDir(), "audit.log"))},
		{name: "`--log-level info` (all others: error)", set: args("--log-level", "info")},
		{name: "traces, all requests", set: proxySetting{env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.HTTP}}},
		{name: "TLS at the clients' side", set: proxySetting{tls: true}, sends: crc32},
		{name: "TLS at the store's side", set: proxySetting{args: ca, store: secure}},
		{name: "TLS on both sides", set: proxySetting{args: ca, store: secure, tls: true}, sends: crc32},
		{name: "TLS on both sides, `--etag md5`", set: proxySetting{args: append(ca, "--etag", "md5"), store: secure, tls: true}, sends: crc32},
		{name: "clients: SHA-256 of the body, signed", sends: sending{whole: hashed}},
		{name: "clients: unsigned payload", sends: sending{whole: unsigned}},
		{name: "clients: unsigned chunks, CRC32", sends: crc32},
		{name: "clients: unsigned chunks, CRC32C", sends: sending{trailer: "crc32c"}},
		{name: "clients: unsigned chunks, CRC64NVME", sends: sending{trailer: "crc64nvme"}},
		{name: "clients: unsigned chunks, SHA1", sends: sending{trailer: "sha1"}},
		{name: "clients: unsigned chunks, SHA256", sends: sending{trailer: "sha256"}},
		{name: "clients: ask for SSE-S3 (`--sse own`)", sends: sending{headers: []string{"X-Amz-Server-Side-Encryption", "AES256"}}},
	}
}

// settingCosts compares variants in interleaved rounds, each with a proxy of its own but those of
// clients, which share the default's.
func settingCosts(w *world, a *answers) {
	st, secure := w.settingStage()
	for _, v := range w.variants(secure, st) {
		var s *subject
		if d := st.by(usual); strings.HasPrefix(v.name, "clients: ") && d != nil {
			s = &subject{target: d.target, process: d.process, metrics: d.metrics}
			s.name = v.name
		} else {
			s = w.proxy(st, v.name, v.set)
		}
		s.sends = v.sends
		st.subjects = append(st.subjects, s)
	}
	w.plain = st
	for _, name := range []string{usual, "TLS at the store's side"} { // one of each store
		if err := st.by(name).do("PUT", "/bench", nil); err != nil {
			w.b.Fatal(err)
		}
	}
	all := st.subjects
	reading := slices.DeleteFunc(slices.Clone(all), func(s *subject) bool {
		return strings.HasPrefix(s.name, "clients: ") || strings.Contains(s.name, "-payload")
	})
	for i, j := range settingJobs(w.settings.jobs) {
		st.subjects = all
		if strings.HasPrefix(j.name, "GET") {
			st.subjects = reading
		}
		a.Records = append(a.Records, w.measure(i, j)...)
		fmt.Printf("%s: %d settings\n", j.name, len(st.subjects))
		a.save()
	}
}

// settingStage has a store without TLS and one with, and no subjects yet.
func (w *world) settingStage() (*stage, *lab.Store) {
	dir := w.b.TempDir()
	c := certificates{lab.NewAuthority(w.b), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	c.authority.Issue(w.b, "proxy.test", c.cert, c.key)
	plain, secure := w.store(false, nil), w.store(true, c.authority)
	return &stage{store: plain, certs: c, trash: w.trashOf(plain, secure)}, secure
}

// settingJobs are done by all variants, each with keys of its own.
func settingJobs(wanted *regexp.Regexp) (jobs []job) {
	for _, size := range []struct {
		name    string
		bytes   int64
		clients int
	}{{"4 KiB", 4 * kib, 8}, {"16 MiB", 16 * mib, 4}} {
		c := whole(size.bytes)
		path := func(s *subject, i int) string {
			return s.path(fmt.Sprintf("/%d-%02d", size.bytes, i%size.clients))
		}
		put := func(s *subject, i int) (int64, error) {
			_, err := s.putAs(path(s, i), c, 0, c.size, s.sends)
			return c.size, err
		}
		get := func(s *subject, i int) (int64, error) { return c.size, s.get(path(s, i), c, 0, c.size) }
		prepare := func(_ *world, _ *stage, s *subject) error {
			return sideBySide(size.clients, 4, func(i int) error { _, err := put(s, i); return err })
		}
		for _, j := range []job{
			{name: "PUT " + size.name, clients: size.clients, bulk: size.bytes >= mib, do: put},
			{name: "GET " + size.name, clients: size.clients, bulk: size.bytes >= mib, prepare: prepare, do: get},
		} {
			if wanted.MatchString(j.name) {
				jobs = append(jobs, j)
			}
		}
	}
	return jobs
}

var settingColumns = []string{"PUT 4 KiB", "GET 4 KiB", "PUT 16 MiB", "GET 16 MiB"}

func settingTable(a *answers) string {
	r := &results{Records: a.Records}
	var b strings.Builder
	b.WriteString("CPU-seconds of the proxy's process per 1,000 operations or GB; their ratio to the default setting's of the same round, with the least and the largest:\n\n| setting | PUT 4 KiB | GET 4 KiB | PUT 16 MiB | GET 16 MiB |\n|---|---|---|---|---|\n")
	for _, name := range r.subjects() {
		fmt.Fprintf(&b, "| %s ", name)
		for _, job := range settingColumns {
			b.WriteString("| " + r.beside(job, name, usual) + " ")
		}
		b.WriteString("|\n")
	}
	return b.String()
}

// subjects are all that have a record, in their order.
func (r *results) subjects() (all []string) {
	for _, one := range r.Records {
		if !slices.Contains(all, one.Subject) {
			all = append(all, one.Subject)
		}
	}
	return all
}

// cpuOf is the CPU that a job costs, as its table has it.
func cpuOf(r record) float64 {
	field, _ := r.cpu()
	return field(r)
}

// beside is what a subject's CPU is, and its ratio to another's in the same rounds.
func (r *results) beside(job, subject, other string) string {
	values := r.values(job, subject, cpuOf)
	if len(values) == 0 {
		return "-"
	}
	text := figures(r.median(job, subject, cpuOf))
	if subject != other {
		text += "; " + spread(ratios(values, r.values(job, other, cpuOf)))
	}
	return text
}
