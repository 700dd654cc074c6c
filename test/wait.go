package test

import (
	"time"
)

const answerWithin = 30 * time.Second
