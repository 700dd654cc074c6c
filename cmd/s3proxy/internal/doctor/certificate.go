package doctor

import (
	"context"
	"crypto/tls"
	"time"
)

// renewBefore is how long before its end a certificate should have been renewed, or a quarter of
// its life, if that is shorter: ACME clients do it when a third is left.
const renewBefore = 14 * 24 * time.Hour

const doRenew = "renew it: the proxy reads it again by itself"

// Certificate looks whether the listener's certificate and key fit, and how long it lasts.
func Certificate(cert, key string) Check {
	return Check{Name: "certificate", At: cert, Look: func(context.Context) Finding {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return failed("correct tls-cert and tls-key", "%s", oneLine(err))
		}
		return lasts(pair.Leaf.NotBefore, pair.Leaf.NotAfter, time.Now())
	}}
}

func lasts(from, until, now time.Time) Finding {
	switch left := until.Sub(now); {
	case now.Before(from):
		return failed("set this machine's clock, or wait", "it is valid from %s on", from.Format(time.DateOnly))
	case left <= 0:
		return failed(doRenew, "it ended on %s", until.Format(time.DateOnly))
	case left < min(renewBefore, until.Sub(from)/4):
		return warning(doRenew, "it ends on %s", until.Format(time.DateOnly))
	}
	return well("it lasts until %s", until.Format(time.DateOnly))
}
