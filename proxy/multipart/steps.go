package multipart

import "fmt"

// The steps of a multipart upload. Most are requests that change something in the store; the proxy,
// the store or the connection may fail before or after each. model_test.go explores what that
// leaves behind. Errors carry these names.
const (
	stepCreate        = "create the upload"
	stepPutState      = "put the upload's state"
	stepSendPart      = "send the part"
	stepPutRecord     = "put the part's record"
	stepListParts     = "list the parts"
	stepSendTrailer   = "send the trailer"
	stepComplete      = "complete the upload"
	stepCheckObject   = "look whether the object is this upload's"
	stepRemoveKey     = "remove the upload's key"
	stepAbort         = "abort the upload"
	stepRemoveRecords = "remove the upload's records"
	stepFindUpload    = "ask for the upload of a state"
	stepMarkGone      = "mark the upload as gone"
	stepForgetGone    = "forget that the upload was gone"
)

// steps are all of them, for the model.
var steps = []string{
	stepCreate, stepPutState, stepSendPart, stepPutRecord, stepListParts, stepSendTrailer, stepComplete, stepCheckObject,
	stepRemoveKey, stepAbort, stepRemoveRecords, stepFindUpload, stepMarkGone, stepForgetGone,
}

func during(step string, err error) error { return fmt.Errorf("%s: %w", step, err) }
