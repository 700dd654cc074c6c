package state

import (
	"errors"
)

// ErrRaced says that in every try others wrote the object, or replaced the record.
var ErrRaced = errors.New("it was replaced by another writer meanwhile")

// ErrLocked says that the store refuses to write or delete an object under a retention or legal
// hold.
var ErrLocked = errors.New("the object is locked")
