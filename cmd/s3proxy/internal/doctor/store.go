package doctor

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// Store is a store of the configuration.
type Store struct {
	Address string
	Client  *upstream.Client
	// Look lists the buckets, or learns that it may not.
	Look   func(context.Context) error
	Advice Advice
}

// Checks are those of one store.
func (s Store) Checks() []Check {
	return []Check{
		{Name: "store", At: s.Address, Look: s.reach},
		{Name: "store-credentials", At: s.Address, Look: s.credentials},
		{Name: "store-clock", At: s.Address, Look: s.clock},
	}
}

// anonymous asks something unsigned: whatever the answer is, the store has given one.
func (s Store) anonymous(ctx context.Context) (http.Header, error) {
	resp, err := s.Client.Do(ctx, &upstream.Request{Method: http.MethodGet, Unsigned: true})
	var refused *s3err.Error
	switch {
	case err == nil:
		resp.Body.Close()
		return resp.Header, nil
	case errors.As(err, &refused) && !errors.Is(err, upstream.ErrNoAnswer):
		return refused.Header, nil
	}
	return nil, err
}

func (s Store) reach(ctx context.Context) Finding {
	if _, err := s.anonymous(ctx); err != nil {
		return failed(cmp.Or(s.Advice(ctx, err), "look at the store's own log, and at its address"), "%s", oneLine(err))
	}
	return well("it answers")
}

func (s Store) credentials(ctx context.Context) Finding {
	switch err := s.Look(ctx); {
	case errors.Is(err, upstream.ErrNoAnswer):
		return skipped("the store does not answer")
	case err != nil:
		return failed(cmp.Or(s.Advice(ctx, err), "look at the store's own log, and at its address"), "%s", oneLine(err))
	}
	return well("the store knows the proxy")
}

func (s Store) clock(ctx context.Context) Finding {
	before := time.Now()
	header, err := s.anonymous(ctx)
	if err != nil {
		return skipped("the store does not answer")
	}
	return skewOf(header, before)
}
