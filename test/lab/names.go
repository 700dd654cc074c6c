package lab

import (
	"fmt"
	"sync/atomic"
)

// FreeName returns a bucket name that no other test uses.
func FreeName(prefix string) string {
	return fmt.Sprintf("%s-%d", prefix, bucketNumber.Add(1))
}

var bucketNumber atomic.Int64
