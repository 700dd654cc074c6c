package upstream

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
)

// retryCost is what one repetition takes of the budget; a success gives one back.
const retryCost = 5

// retryBudget bounds repetitions, as the AWS SDKs' retry quota does. nil: they are not bounded.
type retryBudget struct{ tokens *ratelimit.TokenRateLimit }

func newRetryBudget(retries int) *retryBudget {
	if retries <= 0 {
		return nil
	}
	return &retryBudget{ratelimit.NewTokenRateLimit(uint(retries) * retryCost)}
}

// take tells whether there may be one more repetition.
func (b *retryBudget) take() bool {
	if b == nil {
		return true
	}
	_, err := b.tokens.GetToken(context.Background(), retryCost)
	return err == nil
}

func (b *retryBudget) succeeded() {
	if b != nil {
		_ = b.tokens.AddTokens(1) // what is above the budget is lost
	}
}
