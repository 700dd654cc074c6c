package doctor

import (
	"net/http"
	"time"
)

// S3 refuses signatures that are more than 15 minutes old, AWS KMS those of more than 5.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Error.html (RequestTimeTooSkewed)
const (
	skewFailed  = 5 * time.Minute
	skewWarning = 30 * time.Second
)

const doClock = "let this machine's clock and that one's be set by NTP (chrony, systemd-timesyncd)"

// skew judges another clock by what it showed between two moments of ours. Dates of HTTP have
// whole seconds.
func skew(theirs, before, after time.Time) Finding {
	ours := before.Add(after.Sub(before) / 2)
	off := theirs.Sub(ours)
	direction := "ahead of"
	if off < 0 {
		direction = "behind"
	}
	switch off := off.Abs().Truncate(time.Second); {
	case off <= max(2*time.Second, after.Sub(before)):
		return well("its clock is that of this machine")
	case off > skewFailed:
		return failed(doClock, "its clock is %v %s this machine's: signatures are refused", off, direction)
	case off > skewWarning:
		return warning(doClock, "its clock is %v %s this machine's: signatures are refused from 5 minutes (AWS KMS) or 15 (S3)", off, direction)
	default:
		return well("its clock is %v %s this machine's", off, direction)
	}
}

// skewOf judges the clock of an HTTP server by the date in its answer.
func skewOf(h http.Header, before time.Time) Finding {
	theirs, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return skipped("its answer has no date")
	}
	return skew(theirs, before, time.Now())
}
