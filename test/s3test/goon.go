package s3test

import "time"

// GoOn says how long the clients of a test should race: at least for d and, however busy the
// machine is, until wanted of their calls got through; but no longer than a minute.
func GoOn(d time.Duration, wanted int64) func(got int64) bool {
	begun := time.Now()
	return func(got int64) bool {
		took := time.Since(begun)
		return took < d || got < wanted && took < time.Minute
	}
}
