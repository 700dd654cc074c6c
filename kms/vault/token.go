package vault

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/vault/api"
)

// token is a token from Vault, and a client that carries it.
type token struct {
	client    *api.Client
	text      string
	renewable bool
	// Guarded by Connection.turn: when Vault was last asked whether it accepts the token, and
	// if it does not, why there is no other one.
	checked time.Time
	over    error

	// Only Connection.keep uses these, once it runs.
	until time.Time // zero stands for ever
	life  time.Duration
	whole time.Duration // the life to ask for in a renewal
	// For a token from a file: when to look at it next, and why it was last found to end.
	look time.Time
	ends error
}

func newToken(client *api.Client, g *grant) *token {
	own := another(client)
	own.SetToken(g.token)
	t := &token{client: own, text: g.token, renewable: g.renewable, whole: g.whole, checked: time.Now()}
	t.lives(g.left)
	return t
}

func (t *token) lives(d time.Duration) {
	t.life, t.until = d, time.Time{}
	if d > 0 {
		t.until = time.Now().Add(d)
		t.look, t.ends = t.until.Add(-d/3), nil
	}
}

func (t *token) forEver() bool { return t.until.IsZero() }

// rest is how long to wait before renewing the token: until about two thirds of its life have
// passed, with a random part so that replicas differ.
func (t *token) rest() time.Duration {
	left := time.Until(t.until)
	return left - t.life/3 - rand.N(t.life/10+1)
}

// fileEvery is how often to look at a token's file.
const fileEvery = 2 * time.Second

// keep renews the token, or exchanges it by a new login, well before it ends, until the
// Connection is closed. It repeats what fails, and sooner the less time is left.
func (c *Connection) keep() {
	failures := 0
	for {
		t := c.current()
		wait := t.rest()
		switch {
		case c.file != "":
			wait = fileEvery
		case failures > 0:
			wait = max(min(time.Until(t.until)/4, time.Minute), 500*time.Millisecond)
		case t.forEver():
			return
		}
		select {
		case <-c.ended.Done():
			return
		case <-time.After(max(wait, 0)):
		}
		ctx, cancel := context.WithTimeout(c.ended, callTimeout)
		err := c.refresh(ctx, t)
		cancel()
		if c.ended.Err() != nil {
			return
		}
		if err == nil {
			if failures > 0 {
				c.log.Info("the Vault token could be renewed again")
			}
			failures = 0
			continue
		}
		if failures++; failures == 1 || failures%20 == 0 {
			c.warn(t, err)
		}
		if !c.again && time.Now().After(t.until) {
			return // calls say what is wrong
		}
	}
}

func (c *Connection) warn(t *token, err error) {
	advice := "trying again"
	if !c.again {
		advice = "nobody makes a new one: use AppRole, Kubernetes or a token file"
	}
	c.log.Warn("the Vault token could not be renewed; "+advice, "ends", t.until, "error", err)
}

// refresh renews a token, or exchanges it.
func (c *Connection) refresh(ctx context.Context, t *token) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	defer c.give()
	if c.current() != t { // another call has done it
		return nil
	}
	if c.file != "" {
		return c.reread(ctx, t)
	}
	if t.renewable {
		life, err := t.renew(ctx)
		switch {
		case err != nil && !c.again:
			return err
		// Near the end of its longest life Vault gives less than was asked for.
		case err == nil && (life >= t.life*9/10 || !c.again && life > time.Until(t.until)+time.Second):
			t.lives(life)
			return nil
		}
	}
	if !c.again {
		return errNotRenewable
	}
	_, err := c.logIn(ctx)
	return err
}

// reread takes a new token if the file has one. Otherwise it looks whether the token lives on: an
// agent renews it without changing the file.
func (c *Connection) reread(ctx context.Context, t *token) error {
	text, err := (&Settings{TokenFile: c.file}).readTokenFile()
	if err != nil {
		return err
	}
	if text != t.text {
		_, err = c.logIn(ctx)
		return err
	}
	if t.forEver() || time.Now().Before(t.look) {
		return t.ends
	}
	if t.renewable {
		if renewed, err := t.renew(ctx); err == nil && renewed > time.Until(t.until)+time.Second {
			t.lives(renewed)
			return nil
		}
	}
	g, err := c.login(ctx, c.client)
	if err == nil && g.left > time.Until(t.until)+time.Second {
		t.lives(g.left)
		return nil
	}
	if err == nil {
		err = errFileEnds
	}
	t.ends, t.look = err, time.Now().Add(max(time.Until(t.until)/10, fileEvery))
	return err
}

var errFileEnds = errors.New("nobody has renewed the token in the file or written another")

// renew asks for the whole life once more, and gives the life that Vault grants.
func (t *token) renew(ctx context.Context) (time.Duration, error) {
	renewed, err := t.client.Auth().Token().RenewSelfWithContext(ctx, int(t.whole.Seconds()))
	if err != nil {
		return 0, err
	}
	if renewed == nil || renewed.Auth == nil {
		return 0, errors.New("the answer from Vault to the renewal says nothing")
	}
	return time.Duration(renewed.Auth.LeaseDuration) * time.Second, nil
}
