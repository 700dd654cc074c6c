package lab

import (
	"fmt"
	"sync/atomic"
)

// FreeName is a bucket's name that no other test has.
func FreeName(prefix string) string {
	return fmt.Sprintf("%s-%d", prefix, bucketNumber.Add(1))
}

var bucketNumber atomic.Int64
