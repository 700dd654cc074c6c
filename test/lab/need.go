package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
)

// Need gives the path of a foreign program, or skips the test (see Skip).
func Need(t testing.TB, name string) string {
	t.Helper()
	needAll(t, name)
	path, err := exec.LookPath(name)
	if err != nil {
		Skip(t, name+" is not installed")
	}
	return path
}

// Generations of a client: today's, which send and check CRC trailers by default, and an older
// one, which does not.
const (
	Newest = "newest"
	Older  = "older"
)

// NeedAWS gives an aws-cli of a generation, or skips the test.
func NeedAWS(t testing.TB, generation string) string {
	t.Helper()
	return need(t, "aws-cli", generation, awsVersions)
}

// NeedCryptography gives a python3 that has the cryptography package, or skips the test.
func NeedCryptography(t testing.TB) string {
	t.Helper()
	needAll(t, "python3-cryptography")
	path := cryptography()
	if path == "" {
		Skip(t, "python3-cryptography is not installed")
	}
	return path
}

var cryptography = sync.OnceValue(func() string {
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(path, "-c", "import cryptography").Run() == nil {
			return path
		}
	}
	return ""
})

// NeedBoto3 gives a python3 that has a boto3 of a generation, or skips the test.
func NeedBoto3(t testing.TB, generation string) string {
	t.Helper()
	return need(t, "boto3", generation, boto3Versions)
}

func need(t testing.TB, client, generation string, find func() map[string]string) string {
	t.Helper()
	needAll(t, client)
	path, ok := find()[generation]
	if !ok {
		Skip(t, client+", "+generation+", is not installed")
	}
	return path
}

// aws-cli 1.37, 2.23 and boto3 1.36 are the first with CRC trailers by default.
var (
	awsVersions = sync.OnceValue(func() map[string]string {
		return generations("aws", []string{"--version"}, `aws-cli/(\d+)\.(\d+)`, map[int]int{1: 37, 2: 23})
	})
	boto3Versions = sync.OnceValue(func() map[string]string {
		return generations("python3", []string{"-c", "import boto3; print(boto3.__version__)"}, `^(\d+)\.(\d+)`, map[int]int{1: 36})
	})
)

// generations looks at every program of a name in PATH and sorts it by its
// version; the first of a generation is taken. PATH often holds a newer one
// that was installed by hand and the distribution's.
func generations(name string, args []string, pattern string, modern map[int]int) map[string]string {
	found := map[string]string{}
	version := regexp.MustCompile(pattern)
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		cmd := exec.Command(path, args...)
		cmd.Env = Env()
		out, err := cmd.CombinedOutput()
		if err != nil {
			continue
		}
		m := version.FindSubmatch(out)
		if m == nil {
			continue
		}
		major, _ := strconv.Atoi(string(m[1]))
		minor, _ := strconv.Atoi(string(m[2]))
		generation := Older
		if minor >= modern[major] {
			generation = Newest
		}
		if found[generation] == "" {
			found[generation] = path
		}
	}
	return found
}
