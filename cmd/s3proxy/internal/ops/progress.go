package ops

// Progress shows how far a command is, for one walk after the other.
type Progress interface {
	// Counts tells whether the number of all that a walk comes to is wanted, which costs a
	// listing of its own.
	Counts() bool
	// Start begins a walk, Add counts one of its units as done (from any goroutine), and Finish
	// ends the walk.
	Start(Walk)
	Add(Step)
	Finish()
}

// Walk is what a command is about to go through.
type Walk struct {
	Target
	Unit  string // of what: objects, records
	Total int    // 0: not counted
}

// Step is what became of one object or record.
type Step struct {
	Bytes  int64 // that were read, or written again
	Failed bool
}

// unwatched is for walks that are not shown.
type unwatched struct{}

func (unwatched) Counts() bool { return false }
func (unwatched) Start(Walk)   {}
func (unwatched) Add(Step)     {}
func (unwatched) Finish()      {}
