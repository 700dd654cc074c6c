//go:build !noembedded

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// embeddedUser owns all buckets of the embedded store. Each start makes a new secret, which
// only the two processes know.
const embeddedUser = "s3proxy-embedded"

// embeddedStore is a store in a process of its own, which ends with this one. It listens on
// a Unix socket in a folder that only this user can enter, so that everybody has to go
// through the proxy. It has neither keys nor the proxy's environment, and where the kernel
// has Landlock it can reach only the files of its store.
type embeddedStore struct {
	client *upstream.Client
	order  storeOrder
	folder string // of the socket
	cmd    *exec.Cmd
	stdin  io.Closer  // closing it ends the child
	done   chan error // gives why the child ended, then is closed
}

// noteOnBuild ends the help of serve.
const noteOnBuild = ""

// hasEmbeddedStore tells, by nil, that this build has the store: one with the tag noembedded
// has not (noembedded.go).
func hasEmbeddedStore() error { return nil }

// startEmbedded runs a store whose objects are files below the data folder.
func startEmbedded(c *config.Config, log *slog.Logger, watch func(*upstream.Config)) (*embeddedStore, error) {
	if err := secretsOutsideStore(c); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the embedded store: %w", err)
	}
	return startStore(exec.Command(self, embeddedStoreName), c.DataDir, log, watch)
}

// startStore starts the program that cmd names as the store's process; watch completes what its
// client is made of.
func startStore(cmd *exec.Cmd, dataDir string, log *slog.Logger, watch func(*upstream.Config)) (*embeddedStore, error) {
	root := storeRoot(dataDir)
	if err := ensureDir(root); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "s3proxy-") // mode 0700; a short path, for a socket's has 108 bytes at most
	if err != nil {
		return nil, fmt.Errorf("make a folder for the embedded store's socket: %w", err)
	}
	secret := make([]byte, 30)
	rand.Read(secret)
	s := &embeddedStore{
		folder: folder, cmd: cmd, done: make(chan error, 1),
		order: storeOrder{
			Root: root, Metadata: storeMetadata(dataDir), Socket: filepath.Join(folder, "store"),
			Secret: base64.RawURLEncoding.EncodeToString(secret),
		},
	}
	if err := s.run(log); err != nil {
		os.RemoveAll(folder)
		return nil, fmt.Errorf("start the embedded store: %w", err)
	}
	if err := s.waitFor(s.order.Socket); err != nil {
		s.close()
		return nil, fmt.Errorf("start the embedded store: %w", err)
	}
	conf := upstream.Config{
		Endpoint:    &url.URL{Scheme: "http", Host: "embedded"},
		Region:      embeddedRegion,
		Payload:     upstream.PayloadChecked,
		Credentials: credentials.NewStaticCredentialsProvider(embeddedUser, s.order.Secret, ""),
		Dial: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", s.order.Socket)
		},
	}
	watch(&conf)
	if s.client, err = upstream.New(conf); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// run starts the process and sends it its order on standard input, which stays open as long
// as this process lives.
func (s *embeddedStore) run(log *slog.Logger) error {
	lines := &lineLog{log: log, level: slog.LevelWarn}
	s.cmd.Stdout, s.cmd.Stderr = &lineLog{log: log, level: slog.LevelDebug}, lines
	s.cmd.Env = storeEnvironment()
	s.cmd.SysProcAttr = endWithParent()
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.stdin = stdin
	started := make(chan error)
	go func() {
		// To the kernel a child's parent has ended when the thread that started the child
		// ends, and Go ends threads as it likes: keep this one as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		if err = s.cmd.Wait(); err == nil {
			err = errors.New("its process ended by itself")
		}
		if last := lines.end(); s.cmd.ProcessState.ExitCode() > 0 && last != "" {
			err = errors.New(strings.TrimPrefix(last, "s3proxy: ")) // the reason that it gave itself
		}
		s.done <- err
		close(s.done)
	}()
	if err := <-started; err != nil {
		return err
	}
	if err := json.NewEncoder(stdin).Encode(s.order); err != nil {
		s.close()
		return err
	}
	return nil
}

// storeEnvironment is what the store's process gets of this one's environment: how Go runs,
// and nothing secret.
func storeEnvironment() []string {
	env := []string{}
	for _, name := range []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (s *embeddedStore) waitFor(socket string) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-s.done:
			return err
		default:
		}
	}
	return errors.New("it does not answer")
}

// close stops the store. Requests to it must have ended.
func (s *embeddedStore) close() {
	s.stdin.Close()
	select {
	case <-s.done:
	case <-time.After(storeEnd):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	os.RemoveAll(s.folder)
}
