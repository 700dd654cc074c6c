package proxy

import (
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

const (
	lockMode  = "X-Amz-Object-Lock-Mode"
	lockUntil = "X-Amz-Object-Lock-Retain-Until-Date"
	lockHold  = "X-Amz-Object-Lock-Legal-Hold"
)

// refusedLock gives S3's answer to invalid Object Lock headers. versitygw 1.8 refuses them before it
// has read the body, so that its own answer would be lost.
func (x *clientRequest) refusedLock() error {
	if !x.op.passesHeader(lockMode) {
		return nil
	}
	h := x.r.Header
	mode, until, hold := h.Get(lockMode), h.Get(lockUntil), h.Get(lockHold)
	both := s3err.InvalidArgument.WithMessage("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied.")
	switch {
	case until != "" && mode == "":
		return both.Argument("x-amz-object-lock-mode", "")
	case until == "" && mode != "":
		return both.Argument("x-amz-object-lock-retain-until-date", "")
	case mode != "" && mode != "GOVERNANCE" && mode != "COMPLIANCE":
		return s3err.InvalidArgument.WithMessage("Unknown wormMode directive.").Argument("x-amz-object-lock-mode", mode)
	case hold != "" && hold != "ON" && hold != "OFF":
		return s3err.InvalidArgument.WithMessage("Legal Hold must be either of 'ON' or 'OFF'").Argument("x-amz-object-lock-legal-hold", hold)
	}
	if at, err := time.Parse(time.RFC3339, until); until != "" && (err != nil || at.Before(time.Now())) {
		text := "The retain until date must be in the future!"
		if err != nil {
			text = "The retain until date must be provided in ISO 8601 format"
		}
		return s3err.InvalidArgument.WithMessage("%s", text).Argument("x-amz-object-lock-retain-until-date", until)
	}
	return nil
}
