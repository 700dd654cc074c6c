package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"

	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// embeddedUser owns all buckets of the embedded store. Its secret is made anew
// at each start and never leaves the process.
const embeddedUser = "s3proxy-embedded"

// embeddedStore is versitygw's posix backend in this process. It listens on a
// Unix socket in a folder that only this user can enter, so that nobody reaches
// it but through the proxy.
type embeddedStore struct {
	client *upstream.Client
	folder string // the socket's
	stop   context.CancelFunc
	done   chan error
}

// startEmbedded runs a store whose objects are files below dataDir/store.
// versitygw allows one in a process, and changes the working directory.
func startEmbedded(dataDir string, log *slog.Logger) (*embeddedStore, error) {
	root := filepath.Join(dataDir, "store")
	if err := ensureDir(root); err != nil {
		return nil, err
	}
	opts := posix.PosixOpts{CopyObjectThreshold: 5 << 30} // S3's limit; without it nothing can be copied
	metadata, err := metadataStore(dataDir, root, &opts)
	if err != nil {
		return nil, err
	}
	backend, err := posix.New(root, metadata, opts)
	if err != nil {
		return nil, fmt.Errorf("open the embedded store in %s: %w", root, err)
	}
	folder, err := os.MkdirTemp("", "s3proxy-") // mode 0700; a short path, for a socket's has 108 bytes at most
	if err != nil {
		return nil, fmt.Errorf("make a folder for the embedded store's socket: %w", err)
	}
	secret := make([]byte, 30)
	rand.Read(secret)
	password := base64.RawURLEncoding.EncodeToString(secret)
	socket := filepath.Join(folder, "store")

	ctx, stop := context.WithCancel(context.Background())
	s := &embeddedStore{folder: folder, stop: stop, done: make(chan error, 1)}
	go func() {
		s.done <- embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
			RootUserAccess: embeddedUser, RootUserSecret: password,
			Region: "us-east-1", Ports: []string{socket}, SocketPerm: "0600",
			MaxConnections: 250_000, MaxRequests: 100_000, MultipartMaxParts: 10_000,
			KeepAlive: true, Quiet: true,
			// The one account; named here, since the default announces itself on standard output.
			IAMService: auth.NewIAMServiceSingle(auth.Account{Access: embeddedUser, Secret: password, Role: auth.RoleAdmin}),
		})
	}()
	if err := s.waitFor(socket); err != nil {
		s.close()
		return nil, fmt.Errorf("start the embedded store: %w", err)
	}
	s.client, err = upstream.New(upstream.Config{
		Endpoint:    &url.URL{Scheme: "http", Host: "embedded"},
		Region:      "us-east-1",
		Payload:     upstream.PayloadChecked,
		Trace:       proxy.TraceUpstream(log),
		Credentials: credentials.NewStaticCredentialsProvider(embeddedUser, password, ""),
		Dial: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// metadataStore keeps S3 metadata in extended attributes, or, on a file system
// that has none, in a folder beside the store. Once the folder is there it is
// what the objects' metadata is in.
func metadataStore(dataDir, root string, opts *posix.PosixOpts) (meta.MetadataStorer, error) {
	sidecar := filepath.Join(dataDir, "metadata")
	have, err := exists(sidecar)
	if err != nil {
		return nil, err
	}
	if !have {
		if (meta.XattrMeta{}).Test(root) == nil {
			return meta.XattrMeta{}, nil
		}
		if err := ensureDir(sidecar); err != nil {
			return nil, err
		}
	}
	opts.SideCarDir = sidecar
	return meta.NewSideCar(sidecar)
}

func (s *embeddedStore) waitFor(socket string) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-s.done:
			s.done <- err
			return err
		default:
		}
	}
	return errors.New("it does not answer")
}

// close stops the store; requests to it must have ended.
func (s *embeddedStore) close() {
	s.stop()
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
	}
	os.RemoveAll(s.folder)
}
