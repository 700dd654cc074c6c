package bench

import (
	"fmt"
	"math/rand/v2"
)

// readerJobs read ranges of many multipart objects, as Parquet's and Lucene's readers do, sixteen
// side by side: cold, each object for the first time since the proxy's start; and warm.
func readerJobs() (jobs []job) {
	const files = 32
	c := content{16 * mib, 8 * mib}
	key := func(i int) string { return fmt.Sprintf("/file-%02d", i%files) }
	path := func(s *subject, i int) string {
		writer := md5
		if !s.sealed() {
			writer = direct
		}
		return "/bench/" + writer + key(i)
	}
	prepare := func(w *world, st *stage, s *subject) error {
		writer := st.writer(s)
		return w.once(st, writer.name+"/files", func() error {
			return sideBySide(files, 2, func(i int) error { return writer.write(key(i), c) })
		})
	}
	for _, reader := range []struct {
		name string
		do   func(s *subject, i int) (int64, error)
	}{
		{"Parquet: footer twice, 2 columns of 1 MiB", func(s *subject, i int) (int64, error) {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			n := int64(0)
			for _, r := range [][2]int64{{c.size - 8, 8}, {c.size - 64*kib, 64 * kib}, {random.Int64N(c.size - mib), mib}, {random.Int64N(c.size - mib), mib}} {
				if err := s.get(path(s, i), c, r[0], r[1]); err != nil {
					return n, err
				}
				n += r[1]
			}
			return n, nil
		}},
		{"Lucene: 16 KiB anywhere", func(s *subject, i int) (int64, error) {
			off := rand.New(rand.NewPCG(uint64(i), 2)).Int64N(c.size - 16*kib)
			return 16 * kib, s.get(path(s, i), c, off, 16*kib)
		}},
	} {
		jobs = append(jobs,
			job{name: reader.name + ", cold", clients: 16, count: files, fresh: true, prepare: prepare, do: reader.do},
			job{name: reader.name + ", warm", clients: 16, prepare: prepare, do: reader.do})
	}
	return jobs
}
