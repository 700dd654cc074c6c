package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/kms"
	"github.com/s3proxy/s3proxy/kms/localfile"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Unwrapped window keys that are kept for reading: three busy replicas make
// about 26,000 windows a year in a bucket.
const (
	windowCacheSize = 4096
	windowCacheTTL  = time.Hour
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the proxy",
		Long: `Runs the proxy. With nothing configured it keeps an S3 store in the data folder,
makes a keyset and the client's credentials there at the first start, and prints
an aws command to try. With --upstream it stands before a real store.

Upstream credentials are found as the AWS SDKs do: environment, shared
configuration, container, instance. ` + envAccessKey + ` and
` + envSecretKey + ` are the keys that clients use here.`,
		Example: `  s3proxy serve
  s3proxy serve --upstream https://s3.eu-central-1.amazonaws.com --upstream-region eu-central-1
  s3proxy serve --config /etc/s3proxy/config.yaml --log-level debug --log-format json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	serveFlags(cmd.Flags())
	return cmd
}

// serve runs the proxy until ctx ends, then lets running requests finish.
func serve(ctx context.Context, c *config, out, errOut io.Writer) error {
	log := newLogger(c, errOut)
	slog.SetDefault(log) // KMS drivers log there
	if err := ensureDir(c.DataDir); err != nil {
		return err
	}
	client, err := loadClientKey(c.DataDir)
	if err != nil {
		return err
	}
	store, storeEnded, closeStore, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer closeStore()
	made, err := firstKeyset(ctx, c, store)
	if err != nil {
		return err
	}
	keyring, err := newKeyring(ctx, c, store, log)
	if err != nil {
		return err
	}
	if c.upstreamURL == nil {
		if err := checkEmbedded(ctx, c, store, keyring); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	var draining atomic.Bool
	admin, err := startAdmin(c, func(ctx context.Context) error {
		if draining.Load() {
			return errors.New("shutting down")
		}
		return keyring.Check(ctx)
	}, log)
	if err != nil {
		listener.Close()
		return err
	}
	handler := proxy.New(proxy.Config{
		Default: proxy.Bucket{Upstream: store, Keyring: keyring, ETag: proxy.ETagMode(c.ETag), AllowPlaintextReads: c.AllowPlaintextReads},
		Region:  c.Region,
		Credential: func(id string) (proxy.Credential, bool) {
			return proxy.Credential{Secret: client.secret}, id == client.id
		},
		AnonymousToStore: c.Anonymous == "store", Log: log,
	})
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
	}
	sweeping, endSweeping := context.WithCancel(ctx)
	defer endSweeping()
	go handler.SweepUploads(sweeping)
	announce(out, c, client, listener.Addr().String(), made)

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("the listener ended: %w", err)
	case err := <-storeEnded:
		return fmt.Errorf("the embedded store ended: %w", err)
	case <-ctx.Done():
	}
	draining.Store(true)
	log.Info("shutting down: running requests may finish", "drain-timeout", c.DrainTimeout)
	drain(server, c.DrainTimeout, log)
	if admin != nil {
		admin.Close()
	}
	closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := keyring.Close(closing); err != nil {
		log.Warn("window records were not asserted again", "error", err)
	}
	return nil
}

// drain takes no new connections and waits for running requests; those that
// are not done in time are cut.
func drain(server *http.Server, timeout time.Duration, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("requests were cut: they did not finish within drain-timeout", "error", err)
		server.Close()
	}
}

// openStore gives the client of the upstream, or starts the embedded store and
// tells when that ends by itself.
func openStore(ctx context.Context, c *config, log *slog.Logger) (client *upstream.Client, ended <-chan error, closeStore func(), err error) {
	if c.upstreamURL == nil {
		s, err := startEmbedded(c.DataDir, log)
		if err != nil {
			return nil, nil, nil, err
		}
		return s.client, s.done, s.close, nil
	}
	aws, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(c.UpstreamRegion))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("upstream credentials: %w", err)
	}
	client, err = upstream.New(upstream.Config{
		Endpoint: c.upstreamURL, Region: c.UpstreamRegion, Credentials: aws.Credentials,
		Payload: upstream.Payload(c.UpstreamPayload), Trace: proxy.TraceUpstream(log),
	})
	if err != nil {
		return nil, nil, nil, usageError{err}
	}
	return client, nil, func() {}, nil
}

// firstKeyset makes the keyset of the data folder where no --kms names another
// key and none is there yet. With the embedded store, encrypted data without a
// keyset means that the keyset was lost: a new one would hide that.
func firstKeyset(ctx context.Context, c *config, store *upstream.Client) (made bool, err error) {
	if c.KMS != "" {
		return false, nil
	}
	path := c.keysetPath()
	if have, err := exists(path); have || err != nil {
		return false, err
	}
	if c.upstreamURL == nil {
		found, err := findEncrypted(ctx, store)
		if err != nil {
			return false, err
		}
		if found != "" {
			return false, fmt.Errorf("the keyset %s is not there, but the store in %s holds what was encrypted under it (%s): restore the keyset from its backup. Without it this data is lost; to begin anew, move the data folder away", path, c.DataDir, found)
		}
	}
	if err := localfile.Create(path, fromEnvironment); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	return true, nil
}

func newKeyring(ctx context.Context, c *config, store *upstream.Client, log *slog.Logger) (*kms.Keyring, error) {
	write, read, err := openKeys(ctx, c)
	if err != nil {
		return nil, err
	}
	return kms.NewKeyring(kms.Config{
		Write: write, Read: read, Records: proxy.Records{Store: store},
		Window: c.KeyWindow, WindowObjects: c.KeyWindowObjects,
		CacheSize: windowCacheSize, CacheTTL: windowCacheTTL, Log: log,
	})
}

// announce prints what a person needs at a first start, and no secret.
func announce(out io.Writer, c *config, client clientKey, address string, madeKeyset bool) {
	store := "the store in " + c.DataDir
	if c.upstreamURL != nil {
		store = c.upstreamURL.Redacted()
	}
	endpoint := "http://" + address
	fmt.Fprintf(out, "s3proxy listens on %s and encrypts everything in %s\n", endpoint, store)
	if c.KMS == "" {
		verb := "The key is"
		if madeKeyset {
			verb = "A new key was made:"
		}
		fmt.Fprintf(out, "%s %s - back it up: if it is lost, the data is lost.\n", verb, c.keysetPath())
	}
	fmt.Fprintf(out, "Try it:\n  %s\n", client.tryLine(endpoint, c.Region))
}

func newLogger(c *config, w io.Writer) *slog.Logger {
	level := map[string]slog.Level{
		"error": slog.LevelError, "warn": slog.LevelWarn, "info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": proxy.LevelTrace,
	}[c.LogLevel]
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.LevelKey && a.Value.Any() == proxy.LevelTrace {
			return slog.String(slog.LevelKey, "TRACE")
		}
		return a
	}}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
