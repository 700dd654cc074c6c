package test

import (
	"fmt"
	"sync/atomic"
)

// freeName is a bucket's name that no other test has.
func freeName(prefix string) string { return fmt.Sprintf("%s-%d", prefix, bucketNumber.Add(1)) }

var bucketNumber atomic.Int64
