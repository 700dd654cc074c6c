package bench

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// settings come from the environment:
//
//	BENCH=quick         about three minutes instead of half an hour
//	BENCH_JOBS=regexp   only jobs with such names
//	BENCH_ROUNDS=n      samples of each job and subject
//	BENCH_SECONDS=s     length of a sample
//	BENCH_STORE=versitygw
//	BENCH_LARGE=1       uploads of 1 GiB, too
//	BENCH_PROFILE=s     a CPU profile of each proxy doing each job for s seconds, too
//	BENCH_OUT=folder    for results.json, benchstat.txt, table.md and the figures
type settings struct {
	quick, large bool
	jobs         *regexp.Regexp
	rounds       int
	length       time.Duration
	profile      int // seconds; 0: no profiles
	store, out   string
}

func readSettings(b *testing.B) settings {
	b.Helper()
	s := settings{
		quick: os.Getenv("BENCH") == "quick", large: os.Getenv("BENCH_LARGE") == "1",
		rounds: 5, length: 3 * time.Second, store: "minio", out: lab.Path(b, "bin", "bench"),
	}
	if s.quick {
		s.rounds, s.length = 3, 500*time.Millisecond
	}
	var err error
	if s.jobs, err = regexp.Compile(os.Getenv("BENCH_JOBS")); err != nil {
		b.Fatal(err)
	}
	if text := os.Getenv("BENCH_ROUNDS"); text != "" {
		if s.rounds, err = strconv.Atoi(text); err != nil || s.rounds < 1 {
			b.Fatalf("BENCH_ROUNDS=%s is no number of rounds", text)
		}
	}
	if text := os.Getenv("BENCH_SECONDS"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || seconds <= 0 {
			b.Fatalf("BENCH_SECONDS=%s is no length", text)
		}
		s.length = time.Duration(seconds * float64(time.Second))
	}
	if text := os.Getenv("BENCH_PROFILE"); text != "" {
		if s.profile, err = strconv.Atoi(text); err != nil || s.profile < 1 || s.profile > 60 {
			b.Fatalf("BENCH_PROFILE=%s is not 1 to 60 seconds", text)
		}
	}
	if text := os.Getenv("BENCH_STORE"); text != "" {
		s.store = text
	}
	if s.store != "minio" && s.store != "versitygw" {
		b.Fatalf("BENCH_STORE=%s is neither minio nor versitygw", s.store)
	}
	if text := os.Getenv("BENCH_OUT"); text != "" {
		s.out = text
	}
	return s
}
