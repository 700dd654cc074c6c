package ops

import "fmt"

// Mistake is an error in what was asked, as opposed to a failure in doing it.
type Mistake struct{ Err error }

func (m Mistake) Error() string { return m.Err.Error() }
func (m Mistake) Unwrap() error { return m.Err }

func mistake(format string, args ...any) error { return Mistake{fmt.Errorf(format, args...)} }

// No is the answer to a question that could be looked into, as opposed to a failure to do so.
type No struct{ Err error }

func (n No) Error() string { return n.Err.Error() }
func (n No) Unwrap() error { return n.Err }
