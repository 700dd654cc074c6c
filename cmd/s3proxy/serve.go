package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/audit"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/limit"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/metrics"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/page"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/tracing"
	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/sigv4"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the proxy",
		Long: `Runs the proxy. With nothing configured it keeps an S3 store in the data folder,
makes a keyset and the client's credentials there at the first start, and prints
an aws command to try. With --upstream it stands in front of a real store, and --kms
names the key: s3proxy keys create makes one in a file.

The proxy finds its credentials at the store as the AWS SDKs do: environment, shared
configuration, container, instance. Clients use the key in ` + config.EnvAccessKey + `
and ` + config.EnvSecretKey + `. The configuration file, or the one that
--credentials names, may hold more keys for clients, each with its buckets; these may
change settings of buckets and ACLs only with manage: true. When the file changes, and
at SIGHUP, the proxy reads them again; if it cannot use the file, the old ones stay
valid.` + noteOnBuild,
		Example: `  s3proxy serve
  s3proxy serve --upstream https://s3.eu-central-1.amazonaws.com --upstream-region eu-central-1 --kms awskms://alias/photos
  s3proxy serve --config /etc/s3proxy/config.yaml --log-level debug --log-format json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(cmd.Flags())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	config.ServeFlags(cmd.Flags())
	return cmd
}

// serve runs the proxy until ctx ends, then lets running requests finish.
func serve(ctx context.Context, c *config.Config, out, errOut io.Writer) error {
	log := newLogger(c, errOut)
	if c.UpstreamURL == nil {
		if err := hasEmbeddedStore(); err != nil {
			return err
		}
	}
	if err := c.CheckKeys(); err != nil {
		return err
	}
	clients, err := config.LoadCredentials(c)
	if err != nil {
		return err
	}
	tellOfOwnClient(c, clients, log)
	traces := tracing.Start(ctx, thisBuild().Version, log)
	defer traces.Close(log)
	log = traces.Logger(log)
	stores := newStores(c, log)
	stores.tracing = traces
	stores.attempts, stores.retryBudget = c.UpstreamAttempts, c.UpstreamRetryBudget
	stop, err := stores.record(c, out)
	if err != nil {
		return err
	}
	defer stop()
	defer clients.Follow(c, log, stores.metrics.Credentials, stores.reloaded("credentials"))()
	if err := stores.open(ctx); err != nil {
		return err
	}
	defer stores.close()
	made, err := firstKeyset(ctx, c, stores)
	if err != nil {
		return err
	}
	security, err := listenerTLS(c)
	if err != nil {
		return err
	}
	served := proxy.Config{
		Region: c.Region, V2: versionTwo(c), Domains: slices.Concat(c.Domains, c.Forward.Domains()), State: c.State, Credential: clients.Find,
		AnonymousToStore: c.Anonymous == "store", TrustAll: c.Auth == config.AuthNone, Log: log, Observe: stores.observe, ObserveSweep: stores.metrics.Swept,
		Refuse: refusals(strangers(c, log)),
		Admit:  limit.New(limitsOf(c), stores.metrics.Throttled).Admit,
	}
	stores.metrics.Limits(limit.Requests, limit.ClientRequests, limit.ClientRate)
	if c.TLSClientCA != "" {
		served.OfConnection = ofCertificate(security, clients.OfCertificate)
	}
	if err := stores.serve(ctx, &served); err != nil {
		return err
	}
	if stores.embedded != nil {
		if err := checkEmbedded(ctx, c, stores); err != nil {
			return err
		}
	}
	stores.tryBackends(ctx)
	handler := proxy.New(served)
	s3 := stores.metrics.InFlight(traces.Handler(handler))
	way, err := openForwarding(c, served, s3, stores, log)
	if err != nil {
		return err
	}
	door, err := openFrontDoor(c, security, log)
	if err != nil {
		return err
	}
	stores.metrics.Tunnels(way.tunnels)
	stores.metrics.Memory(stores.held, handler.Caches)
	stores.metrics.Stores(stores.answering)
	defer door.follow(stores, log)()
	health := newHealth(stores)
	closeOperators, err := startOperators(c, page.Source{Metrics: stores.metrics, Running: handler.Running, Sweep: handler.Sweep, Ready: health.shown}, stores.metrics, health, log)
	if err != nil {
		door.Close()
		return err
	}
	defer closeOperators()
	server := newServer(way.handler(s3), log)
	server.ReadHeaderTimeout, server.IdleTimeout, server.ConnState = c.HeaderTimeout, c.IdleTimeout, stores.metrics.Connection
	background, endBackground := context.WithCancel(ctx)
	defer endBackground()
	go handler.SweepUploads(background)
	if c.MetricsListen != "" {
		go health.follow(background)
	}
	announce(out, c, clients.Own, door.endpoint(), made)

	ended := make(chan error, 2)
	go func() { ended <- door.serve(server) }()
	defer way.start(ended)()
	tellServiceManager(daemon.SdNotifyReady, log)
	select {
	case err := <-ended:
		return fmt.Errorf("the listener stopped: %w", err)
	case err := <-stores.ended():
		return fmt.Errorf("the embedded store stopped: %w", err)
	case <-ctx.Done():
	}
	health.draining.Store(true)
	stores.metrics.Ready(false)
	tellServiceManager(daemon.SdNotifyStopping, log)
	waitForBalancers(c, log)
	log.Info("shutting down: running requests may finish", "drain-timeout", c.DrainTimeout)
	drain(server, way, handler, c.DrainTimeout, log)
	closeOperators()
	closing, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := stores.closeKeyrings(closing); err != nil {
		log.Warn("window records could not be written again", "error", err)
	}
	return nil
}

// record makes the metrics and the audit log of a serving process. stop ends the audit log.
func (s *stores) record(c *config.Config, out io.Writer) (stop func(), err error) {
	program := thisBuild()
	s.metrics = metrics.New(metrics.Build{Version: program.Version, Commit: program.Commit, Go: program.Go}, c.MetricsBuckets)
	if s.tracing != nil {
		s.metrics.TraceID = tracing.TraceID
	}
	if c.AuditLog == "" {
		return func() {}, nil
	}
	if s.audit, err = audit.Open(c.AuditLog, out, s.log); err != nil {
		return nil, err
	}
	s.audit.Process("start", program.Version, os.Getpid())
	return func() {
		s.audit.Process("stop", program.Version, os.Getpid())
		s.audit.Close()
	}, nil
}

// waitForBalancers serves on until balancers have seen that the proxy is to end.
func waitForBalancers(c *config.Config, log *slog.Logger) {
	if c.ShutdownDelay > 0 {
		log.Info("shutting down: new requests are served until balancers have seen that /readyz says no", "shutdown-delay", c.ShutdownDelay)
		time.Sleep(c.ShutdownDelay) // a second signal ends the process
	}
}

// limitsOf are the settings of what clients may ask for at once.
func limitsOf(c *config.Config) limit.Limits {
	return limit.Limits{Requests: c.MaxRequests, ClientRequests: c.ClientMaxRequests, ClientRate: c.ClientRate, ClientBurst: c.ClientBurst}
}

// drain accepts no new connections and waits for running requests, and for what they have left to be
// done. It cuts those that do not finish in time.
func drain(server *http.Server, way *forwarding, handler *proxy.Proxy, timeout time.Duration, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	tunnels := make(chan error, 1)
	go func() { tunnels <- way.drain(ctx) }()
	cut := server.Shutdown(ctx)
	if cut != nil {
		log.Warn("requests were cut: they did not finish within drain-timeout", "error", cut)
		server.Close()
	}
	if err := <-tunnels; err != nil {
		log.Warn("tunnels were cut: they did not end within drain-timeout", "error", err)
	}
	if cut != nil {
		return // there may be requests that still leave something to be done
	}
	if err := handler.Finish(ctx); err != nil {
		log.Info("records of completed uploads are left: they were not removed within drain-timeout, and are swept later", "error", err)
	}
}

// versionTwo is what clients may sign with Signature Version 2.
func versionTwo(c *config.Config) sigv4.V2 {
	switch c.AuthV2 {
	case config.AuthV2Presigned:
		return sigv4.V2Presigned
	case config.AuthV2All:
		return sigv4.V2All
	}
	return sigv4.V2Off
}
