package lab

import (
	"time"
)

const AnswerWithin = 30 * time.Second
