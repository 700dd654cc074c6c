package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/s3proxy/s3proxy/kms"
)

// Connection is a client of one Vault that logs in and stays logged in. All keys of a process
// share it. It logs in at the first call, so that a proxy can start while Vault is unreachable.
// It is safe for concurrent use.
type Connection struct {
	client *api.Client
	login  login
	again  bool // whether the login can be repeated
	file   string
	log    *slog.Logger

	// turn is held by the goroutine that logs in or renews.
	turn chan struct{}

	mu    sync.Mutex
	token *token // nil: not logged in

	failed failure // guarded by turn

	end    context.CancelFunc
	ended  context.Context
	keeper sync.WaitGroup
}

// failure is a failed login. Callers that waited for it get the same error.
type failure struct {
	err error
	at  time.Time
}

// Retries of a call that Vault did not answer, or answered with 412, 429, 472, 473 or 5xx. The
// waits have jitter, are longer if Retry-After says so, and stay within the caller's deadline;
// together they are at most about 2.5 s.
const (
	maxRetries   = 3
	minRetryWait = 50 * time.Millisecond
	maxRetryWait = 400 * time.Millisecond
)

// callTimeout bounds calls that no caller waits for or that have no deadline.
const callTimeout = 20 * time.Second

// NewConnection makes a Connection to the Vault that the environment's VAULT_* variables name.
// It does not call Vault. log gets what goes wrong with the token.
func NewConnection(s Settings, log *slog.Logger) (*Connection, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, fmt.Errorf("the environment's settings of Vault: %w", config.Error)
	}
	if os.Getenv(api.EnvVaultMaxRetries) == "" {
		config.MaxRetries = maxRetries
	}
	config.MinRetryWait, config.MaxRetryWait = minRetryWait, maxRetryWait
	config.CheckRetry = passes
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("the environment's settings of Vault: %w", err)
	}
	client.ClearToken()
	// VAULT_WRAP_TTL would hide each answer behind another token.
	client.SetWrappingLookupFunc(func(string, string) string { return "" })
	client = client.WithResponseCallbacks(refuseForeign)
	c := &Connection{client: client, file: s.TokenFile, log: log, turn: make(chan struct{}, 1)}
	c.login, c.again = s.method()
	c.ended, c.end = context.WithCancel(context.Background())
	return c, nil
}

// What Vault's health check answers for a standby.
// https://developer.hashicorp.com/vault/api-docs/system/health
const (
	statusRecoverySecondary  = 472
	statusPerformanceStandby = 473
)

// once marks the context of a call that must not be repeated, since it has an effect each time.
// The client library has no other way to say this of one call.
type once struct{}

// passes says whether to ask again. A load balancer that follows Vault's health checks may return
// a standby's status, which the client library takes for final.
func passes(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Value(once{}) != nil {
		return false, err
	}
	again, err := api.DefaultRetryPolicy(ctx, resp, err)
	if err != nil || again || resp == nil {
		return again, err
	}
	return resp.StatusCode == statusRecoverySecondary || resp.StatusCode == statusPerformanceStandby, nil
}

// Open implements [kms.Opener].
func (c *Connection) Open(_ context.Context, uri *url.URL) (kms.Key, error) {
	mount, key, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	return &Key{connection: c, mount: mount, key: key}, nil
}

// Opener returns an opener whose keys share one Connection with the settings in the environment.
// The Connection is made with the first key.
func Opener() kms.Opener {
	connect := sync.OnceValues(func() (*Connection, error) {
		s, err := SettingsFromEnvironment()
		if err != nil {
			return nil, err
		}
		return NewConnection(s, slog.Default())
	})
	return func(ctx context.Context, uri *url.URL) (kms.Key, error) {
		c, err := connect()
		if err != nil {
			return nil, err
		}
		return c.Open(ctx, uri)
	}
}

// Close stops the renewal of the token. It does not revoke the token.
func (c *Connection) Close() {
	c.mu.Lock() // valid starts none afterwards
	c.end()
	c.mu.Unlock()
	c.keeper.Wait()
}

// do runs a call with a valid token. If Vault refuses the token, which somebody may have revoked,
// do logs in again, if it can, and repeats the call once.
func (c *Connection) do(ctx context.Context, call func(context.Context, *api.Client) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, errNoAnswer)
	defer cancel()
	used, err := c.valid(ctx)
	if err != nil {
		return err
	}
	if err = call(ctx, used.client); !isDenied(err) {
		return c.bounded(ctx, err)
	}
	fresh, failed := c.replace(ctx, used)
	if failed != nil {
		return failed
	}
	if fresh == used { // the token is good: it is the policy that denies
		return err
	}
	return c.bounded(ctx, call(ctx, fresh.client))
}

var errNoAnswer = errors.New("no answer")

// bounded turns the end of callTimeout into kms.ErrUnavailable: only the end of the caller's own
// context may be an error of the context.
func (c *Connection) bounded(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(context.Cause(ctx), errNoAnswer) {
		return fmt.Errorf("%w: no answer within %v", kms.ErrUnavailable, callTimeout)
	}
	return err
}

// valid gives the token in use, and logs in if there is none.
func (c *Connection) valid(ctx context.Context) (*token, error) {
	if t := c.current(); t != nil {
		return t, nil
	}
	asked := time.Now()
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	defer c.give()
	if t := c.current(); t != nil {
		return t, nil
	}
	if c.failed.at.After(asked) {
		return nil, c.failed.err
	}
	t, err := c.logIn(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended.Err() == nil && (!t.forEver() || c.file != "") {
		c.keeper.Go(c.keep)
	}
	return t, nil
}

// replace gives a new token for one that Vault refused, or the same one if Vault still knows it.
func (c *Connection) replace(ctx context.Context, refused *token) (*token, error) {
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	defer c.give()
	if t := c.current(); t != refused {
		return t, nil
	}
	if time.Since(refused.checked) < minCheck {
		return refused, refused.over
	}
	refused.checked, refused.over = time.Now(), nil
	switch _, err := refused.client.Auth().Token().LookupSelfWithContext(ctx); {
	case err == nil:
		return refused, nil
	case !isDenied(err): // it is not known whether the token is good
		refused.checked = time.Time{}
		return nil, err
	}
	t, err := c.logIn(ctx)
	if ctx.Err() == nil {
		refused.over = err
	}
	return t, err
}

// minCheck is how long a token counts as good after it was made or looked up, even if Vault denies
// something: else each denied call would cause a login.
const minCheck = time.Second

// minLogin is the shortest time between a refused login and the next: after five refusals in a
// row Vault locks the role out for a quarter of an hour.
// https://developer.hashicorp.com/vault/docs/concepts/user-lockout
const minLogin = 15 * time.Second

// logIn must be called with the turn held.
func (c *Connection) logIn(ctx context.Context) (*token, error) {
	pause := minLogin
	if c.file != "" { // it may have another token a moment later, and Vault locks nothing out
		pause = minCheck
	}
	if errors.Is(c.failed.err, kms.ErrDenied) && time.Since(c.failed.at) < pause {
		return nil, c.failed.err
	}
	t, err := c.tryLogin(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.failed = failure{err, time.Now()}
		}
		return nil, err
	}
	c.failed = failure{}
	c.mu.Lock()
	c.token = t
	c.mu.Unlock()
	return t, nil
}

func (c *Connection) tryLogin(ctx context.Context) (*token, error) {
	granted, err := c.login(ctx, c.client)
	if err != nil {
		class, reason := classOf(ctx, err)
		switch {
		case class == nil:
			return nil, reason
		case errors.As(err, new(*api.ResponseError)) && class != kms.ErrUnavailable:
			class = kms.ErrDenied // a wrong role or secret id is a 400
		}
		return nil, fmt.Errorf("%w: the login to Vault: %w", class, reason)
	}
	return newToken(c.client, granted), nil
}

func (c *Connection) current() *token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

func (c *Connection) take(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Connection) give() { <-c.turn }
