package config

import "time"

// longestTimeout bounds timeouts: what takes longer is a mistake.
const longestTimeout = 24 * time.Hour

// validateUpstreamLimits checks how long the store and the KMS may be silent, and how often they
// are asked again.
func (c *Config) validateUpstreamLimits() error {
	if c.Given("upstream-attempts") && (c.UpstreamAttempts < 1 || c.UpstreamAttempts > 10) {
		return Usagef("upstream-attempts must be from 1 to 10")
	}
	if c.UpstreamRetryBudget < 0 {
		return Usagef("upstream-retry-budget cannot be negative; 0 is no bound")
	}
	return c.checkTimeouts(map[string]time.Duration{
		"upstream-connect-timeout": c.UpstreamConnectTimeout, "upstream-answer-timeout": c.UpstreamAnswerTimeout,
		"upstream-stall-timeout": c.UpstreamStallTimeout, "kms-timeout": c.KMSTimeout,
		"header-timeout": c.HeaderTimeout, "idle-timeout": c.IdleTimeout,
	})
}

func (c *Config) checkTimeouts(timeouts map[string]time.Duration) error {
	for name, value := range timeouts {
		if c.Given(name) && (value < time.Second || value > longestTimeout) {
			return Usagef("%s must be from 1s to 24h", name)
		}
	}
	return nil
}
