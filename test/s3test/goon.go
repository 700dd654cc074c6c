package s3test

import "time"

// GoOn tells how long clients of a test are to race: for at least d, and while fewer
// than wanted of their calls got through, however busy the machine is, but for no
// longer than a minute.
func GoOn(d time.Duration, wanted int64) func(got int64) bool {
	begun := time.Now()
	return func(got int64) bool {
		took := time.Since(begun)
		return took < d || got < wanted && took < time.Minute
	}
}
