package envelope

import (
	"runtime"
	"sync/atomic"
)

// maxAhead is how many readers of the process read ahead at once. It bounds the memory for that; where
// more run, all cores have work anyway.
const maxAhead = 32

// readingAhead is how many do.
var readingAhead atomic.Int32

// ahead is a reader's next batch of segments, which is filled while the one before is used. Each batch
// is filled in a goroutine of its own, which ends with it: so nothing has to be stopped, wherever a
// body ends. There is one batch at most; while nobody takes it, nothing more is read.
type ahead struct {
	fill    func(*buffer) // nil: nothing is read ahead
	buf     *buffer       // the second one; nil until the first batch
	filled  chan struct{} // has room for one
	filling bool          // or filled, and not yet taken
}

// want says how a batch is filled ahead, where there is another core to do it.
func (a *ahead) want(fill func(*buffer)) {
	if runtime.GOMAXPROCS(0) > 1 {
		a.fill, a.filled = fill, make(chan struct{}, 1)
	}
}

// start fills a buffer like the one in use, if that is wanted and not too many others do it.
func (a *ahead) start(like *buffer) {
	if a.fill == nil {
		return
	}
	if a.buf == nil {
		if readingAhead.Add(1) > maxAhead {
			readingAhead.Add(-1)
			return
		}
		a.buf = like.home.Get().(*buffer)
	}
	a.filling = true
	go fillAhead(a.fill, a.buf, a.filled)
}

func fillAhead(fill func(*buffer), buf *buffer, filled chan<- struct{}) {
	fill(buf)
	filled <- struct{}{}
}

// take waits for the batch that was started, and exchanges its buffer for the used one. It returns
// false if none was started.
func (a *ahead) take(used **buffer) bool {
	if !a.filling {
		return false
	}
	<-a.filled
	a.filling = false
	a.buf, *used = *used, a.buf
	return true
}

// release gives the buffer back, as soon as nobody fills it any more.
func (a *ahead) release() {
	if a.buf == nil {
		return
	}
	if a.filling {
		go func(buf *buffer, filled <-chan struct{}) {
			<-filled
			giveBackAhead(buf)
		}(a.buf, a.filled)
	} else {
		giveBackAhead(a.buf)
	}
	*a = ahead{}
}

func giveBackAhead(buf *buffer) {
	giveBack(buf)
	readingAhead.Add(-1)
}
