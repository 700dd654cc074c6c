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

// Need returns the path of a foreign program, or skips the test (see Skip).
func Need(t testing.TB, name string) string {
	t.Helper()
	needAll(t, name)
	path, err := exec.LookPath(name)
	if err != nil {
		Skip(t, name+" is not installed")
	}
	return path
}

// Generations of a client: the newest sends and checks CRC trailers by default, the older one does
// not.
const (
	Newest = "newest"
	Older  = "older"
)

// NeedAWS returns an aws-cli of a generation, or skips the test.
func NeedAWS(t testing.TB, generation string) string {
	t.Helper()
	return need(t, "aws-cli", generation, awsVersions)
}

// NeedCryptography returns a python3 with the cryptography package, or skips the test.
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

// NeedBoto3 returns a python3 with a boto3 of a generation, or skips the test.
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

// generations sorts every program called name in PATH by its version, and takes the first of each
// generation. PATH often holds both a newer one, installed by hand, and the distribution's.
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
