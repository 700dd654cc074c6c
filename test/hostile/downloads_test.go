package hostile

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// downloads are ways in which clients fetch a large object, as a series of ranges.
func downloads() map[string]func(t *testing.T, at lab.S3, bucket, key, file string) error {
	manager := func(how tmtypes.GetObjectType) func(t *testing.T, at lab.S3, bucket, key, file string) error {
		return func(t *testing.T, at lab.S3, bucket, key, file string) error {
			f, err := os.Create(file)
			if err != nil {
				return err
			}
			defer f.Close()
			m := transfermanager.New(s3test.Once(t, at), func(o *transfermanager.Options) {
				o.PartSizeBytes, o.Concurrency, o.GetObjectType = 5<<20, 1, how
			})
			_, err = m.DownloadObject(t.Context(), &transfermanager.DownloadObjectInput{Bucket: &bucket, Key: &key, WriterAt: f})
			return err
		}
	}
	return map[string]func(t *testing.T, at lab.S3, bucket, key, file string) error{
		"boto3": func(t *testing.T, at lab.S3, bucket, key, file string) error {
			_, err := lab.Run(t, at.Env(), lab.NeedBoto3(t, lab.Newest), "../clients/boto3_download.py", at.URL, bucket, key, file)
			return err
		},
		"aws-cli": func(t *testing.T, at lab.S3, bucket, key, file string) error {
			env := at.Env("AWS_MAX_ATTEMPTS=1", "AWS_CONFIG_FILE="+lab.PrivateFile(t, "[default]\ns3 =\n  max_concurrent_requests = 1\n  multipart_chunksize = 5MB\n"))
			_, err := lab.Run(t, env, lab.NeedAWS(t, lab.Newest), "--endpoint-url", at.URL, "s3", "cp", "s3://"+bucket+"/"+key, file)
			return err
		},
		"transfermanager in ranges": manager(tmtypes.GetObjectRanges),
		"transfermanager in parts":  manager(tmtypes.GetObjectParts),
	}
}

// In the middle of a download, a store replaces an object with an older one of the same size under
// the same ETag. A client that reports success must have one of the two, whole. Behind a load
// balancer in mode opaque, each replica may have seen another version: THREATS.md leaves that open,
// and the next test covers it.
func TestNoClientTakesTwoVersionsOfAHostileStoreForOneObject(t *testing.T) {
	lab.TakesLong(t)
	if lab.Direct {
		t.Skip("there is no proxy to lie to")
	}
	for _, replicas := range []string{"one replica", "two replicas"} {
		for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
			if replicas == "two replicas" && mode == lab.ModeOpaque {
				continue
			}
			t.Run(replicas+" "+mode, func(t *testing.T) { spliceDownloads(t, replicas == "two replicas", mode) })
		}
	}
}

func spliceDownloads(t *testing.T, two bool, mode string) {
	real := lab.SharedVersitygw(t)
	hostile := lab.Hostile(t, real)
	behind := *real
	behind.URL = hostile.URL
	uri, _ := lab.NewKeyset(t)
	var at lab.S3
	if args := []string{"--kms", uri, "--etag", mode}; two {
		at = lab.Balance(t, &behind, nil, args...).S3()
	} else {
		at = lab.Proxy(t, lab.ProxyOptions{Upstream: &behind, Args: args}).S3()
	}
	bucket := s3test.NewBucket(t, at)
	const size = 16<<20 + 7
	succeeded, refused := 0, 0
	for name, download := range downloads() {
		t.Run(name, func(t *testing.T) {
			for after := range 5 {
				key := fmt.Sprintf("%s-%d", name[len(name)-5:], after)
				path := "/" + bucket + "/" + key
				older, newer := s3test.Content(uint64(after), size), s3test.Content(uint64(100+after), size)
				s3test.MustPut(t, at, path, older)
				old := s3test.RawGet(t, real.S3(), path)
				s3test.MustPut(t, at, path, newer)
				asked := 0
				hostile.Tell(func(a *lab.Reply) {
					if a.Request.URL.Path != path || a.Request.Method != http.MethodGet {
						return
					}
					if asked++; asked > after {
						instead(old, true, true)(a)
					}
				})
				file := filepath.Join(t.TempDir(), "file")
				err := download(t, at, bucket, key, file)
				told := hostile.Tell(nil)
				if err != nil {
					refused++
					continue
				}
				if told > 0 {
					succeeded++
				}
				got, err := os.ReadFile(file)
				if err != nil || s3test.SameBytes(got, newer) != nil && s3test.SameBytes(got, older) != nil {
					t.Errorf("exchanged after %d answers (%d told): success with the bytes of neither version: %v, %v", after, told, err, s3test.SameBytes(got, newer))
				}
			}
		})
	}
	t.Logf("%d refused, %d of one version nevertheless", refused, succeeded)
	if refused == 0 {
		t.Error("no download met an exchange")
	}
}

// A store permanently shows each of two replicas another version under one ETag. In mode md5, a
// client that reports success has one version. In mode opaque it may have a mix of both, segment by
// segment, which THREATS.md leaves open; but never a byte that nobody wrote there.
func TestADownloadOfAHostileStoreByTwoReplicasIsOfWhatWasWritten(t *testing.T) {
	lab.TakesLong(t)
	if lab.Direct {
		t.Skip("there is no proxy to lie to")
	}
	for _, mode := range []string{lab.ModeOpaque, lab.ModeMD5} {
		t.Run(mode, func(t *testing.T) {
			real := lab.SharedVersitygw(t)
			var stores [2]*lab.Store
			var hostile [2]*lab.HostileStore
			for n := range stores {
				hostile[n] = lab.Hostile(t, real)
				behind := *real
				behind.URL = hostile[n].URL
				stores[n] = &behind
			}
			uri, _ := lab.NewKeyset(t)
			at := lab.BalanceBefore(t, stores, nil, "--kms", uri, "--etag", mode).S3()
			bucket := s3test.NewBucket(t, at)
			const size = 16<<20 + 7
			one, spliced, refused := 0, 0, 0
			for name, download := range downloads() {
				path := "/" + bucket + "/" + strings.ReplaceAll(name, " ", "-")
				older, newer := s3test.Content(1, size), s3test.Content(2, size)
				s3test.MustPut(t, at, path, older)
				old := s3test.RawGet(t, real.S3(), path)
				s3test.MustPut(t, at, path, newer)
				hostile[1].Tell(func(a *lab.Reply) {
					if a.Request.URL.Path == path && isRead(a.Request) {
						instead(old, true, true)(a)
					}
				})
				file := filepath.Join(t.TempDir(), "file")
				err := download(t, at, bucket, path[len(bucket)+2:], file)
				if told := hostile[1].Tell(nil); told == 0 {
					continue // a single request fetched everything
				}
				if err != nil {
					refused++
					continue
				}
				got, err := os.ReadFile(file)
				switch whole, written := versionsIn(got, older, newer); {
				case err != nil || !written || mode == lab.ModeMD5 && !whole:
					t.Errorf("%s: success with bytes of neither version: %v, %v", name, err, s3test.SameBytes(got, newer))
				case whole:
					one++
				default:
					spliced++
				}
			}
			t.Logf("%d downloads refused, %d of one version, %d of both", refused, one, spliced)
			if refused+spliced == 0 {
				t.Error("no download met both versions")
			}
		})
	}
}

// versionsIn reports whether the bytes are one of the versions, and whether each segment is the
// segment of some version at that place.
func versionsIn(got []byte, versions ...[]byte) (whole, written bool) {
	for _, v := range versions {
		if s3test.SameBytes(got, v) == nil {
			return true, true
		}
	}
	const segment = 64 << 10
	for at := 0; at < len(got); at += segment {
		end := min(at+segment, len(got))
		if !slices.ContainsFunc(versions, func(v []byte) bool { return len(v) == len(got) && bytes.Equal(got[at:end], v[at:end]) }) {
			return false, false
		}
	}
	return false, len(got) > 0
}
