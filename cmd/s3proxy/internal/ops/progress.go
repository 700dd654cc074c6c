package ops

// Progress shows how far a command is, for one walk after the other.
type Progress interface {
	// Watched tells whether anybody looks; if not, nothing is counted for show.
	Watched() bool
	// Start begins a walk over total units, Add counts one of them as done (from any
	// goroutine), and Finish ends the walk.
	Start(total int, unit string)
	Add()
	Finish()
}

// unwatched is for walks that are not shown.
type unwatched struct{}

func (unwatched) Watched() bool     { return false }
func (unwatched) Start(int, string) {}
func (unwatched) Add()              {}
func (unwatched) Finish()           {}
