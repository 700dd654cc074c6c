package bench

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/test/lab"
)

// settings come from the environment:
//
//	BENCH=quick         about three minutes instead of half an hour
//	BENCH_JOBS=regexp   only jobs, or operations over many objects, with such names
//	BENCH_ROUNDS=n      samples of each job and subject
//	BENCH_SECONDS=s     length of a sample
//	BENCH_STORE=versitygw
//	BENCH_LARGE=1       uploads of 1 GiB, and a bucket of 1,000,000 objects, too
//	BENCH_PROFILE=s     a CPU profile of each proxy doing each job for s seconds, too
//
// and of BenchmarkS3Growth
//
//	BENCH_PARTS=regexp  only these parts: clients, kms, objects, settings, replicas
//	BENCH_CLIENTS="1 8 64"
//	BENCH_REPLICAS="1 2 4"
//	BENCH_KMS_OBJECTS="1 10 100", BENCH_KMS_BUCKETS="1 10"
//	BENCH_OBJECTS="1000 10000"  in a bucket
//	BENCH_RENEWED=n             the most of them that are written again, and the most uploads
//	BENCH_PARTS_OF_UPLOAD="10 100"
//
// and of both
//
//	BENCH_OUT=folder    for results.json, benchstat.txt, table.md and the figures
type settings struct {
	quick, large bool
	jobs         *regexp.Regexp
	rounds       int
	length       time.Duration
	profile      int // seconds; 0: no profiles
	store, out   string

	clients, replicas, kmsObjects, kmsBuckets, objects, parts []int
	renewed                                                   int // the most objects that are written again
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
	s.readSizes(b)
	return s
}

// readSizes reads how far growth is followed. By default it is as far as some minutes lead.
func (s *settings) readSizes(b *testing.B) {
	b.Helper()
	s.clients = sizes(b, "BENCH_CLIENTS", 1, 8, 64, 512, 2000)
	s.replicas = sizes(b, "BENCH_REPLICAS", 1, 2, 4)
	s.kmsObjects, s.kmsBuckets = sizes(b, "BENCH_KMS_OBJECTS", 1, 10, 100, 1000), sizes(b, "BENCH_KMS_BUCKETS", 1, 10, 100)
	s.objects = sizes(b, "BENCH_OBJECTS", 1000, 10_000, 100_000)
	s.parts = sizes(b, "BENCH_PARTS_OF_UPLOAD", 10, 100, 1000)
	s.renewed = sizes(b, "BENCH_RENEWED", 100_000)[0]
	if s.large {
		s.objects = append(s.objects, 1_000_000)
	}
}

func sizes(b *testing.B, name string, usual ...int) (all []int) {
	b.Helper()
	for _, text := range strings.Fields(os.Getenv(name)) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("%s=%s has no numbers", name, os.Getenv(name))
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return usual
	}
	return all
}
