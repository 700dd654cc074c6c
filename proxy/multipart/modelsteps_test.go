package multipart

// next returns the worlds that follow w after one step of actor i.
func (m *model) next(w world, i int) []world {
	a := &w.actors[i]
	to := func(pc int8) []world { a.pc = pc; return []world{w} }
	end := func(result int8) []world {
		a.result = result
		return to(atEnd)
	}
	if a.pc == atEnd || a.pc == dead || a.kind != creator && a.kind != putter && a.kind != sweeper && !w.known {
		return nil
	}
	if a.pc == begins {
		a.afterAbort = w.aborted
	}
	switch a.kind {
	case creator:
		switch a.pc {
		case 0:
			m.step(stepCreate)
			w.exists = true
			return to(1)
		case 1:
			m.step(stepPutState)
			w.key = true
			return to(2)
		case 2:
			m.step(stepSendPart)
			w.stored = 1
			return to(3)
		case 3:
			m.step(stepPutRecord)
			w.records |= 1 << 1
			w.known, w.latest = true, 1
			return end(acknowledged)
		}
	case putter:
		w.object, w.madeBy = otherObject, 0
		return end(acknowledged)
	case resender: // its replica has the state cached
		switch a.pc {
		case 0:
			m.step(stepSendPart)
			if !w.visible() {
				return end(noUpload)
			}
			w.stored = 2
			if m.bad.answerBeforeRecord {
				w.latest = 2
			}
			return to(1)
		case 1:
			m.step(stepPutRecord)
			w.records |= 1 << 2
			w.latest = 2
			return end(acknowledged)
		}
	case aborter:
		switch a.pc {
		case 0:
			m.step(stepCheckObject)
			a.got = w.object
			return to(5)
		case 5:
			a.gone = !w.visible()
			if a.gone {
				return to(2)
			}
			return to(1)
		case 1:
			m.step(stepRemoveKey)
			w.key, w.removing = false, true
			return to(2)
		case 2:
			m.step(stepAbort)
			if w.visible() {
				w.exists, w.removing = false, true
				return to(3)
			}
			a.gone = a.gone || m.kind != minio
			if m.bad.abortBelieves204 && m.kind == minio {
				a.gone = false
			}
			return to(3)
		case 3:
			m.step(stepCheckObject)
			if w.ours() && !m.bad.abortBelieves204 {
				a.gone = true
			}
			if m.kind == minio && w.object != a.got && !m.bad.abortLooksOnce {
				a.gone = true
			}
			if a.gone && w.key && !m.bad.abortRemovesAll {
				return end(noUpload) // the sweep takes care of it
			}
			return to(4)
		case 4:
			m.step(stepRemoveRecords)
			w.records, w.key, w.mark, w.oldMark = 0, false, false, false
			if a.gone {
				return end(noUpload)
			}
			w.aborted = true
			return end(acknowledged)
		}
	case completer:
		return m.complete(w, i)
	case sweeper:
		return m.sweep(w, i)
	}
	return nil
}

// Where a Complete is.
const (
	cOpen int8 = iota
	cListParts
	cRecords
	cUnlessEnded
	cForget
	cTrailer
	cComplete
	cAnswer
	cJudge
	cTruth
	cJudgeAgain
	cStillThere
	cFinished
	cState
	cLast
	cRemove
	cRemoveMany
)

func (m *model) complete(w world, i int) []world {
	a := &w.actors[i]
	to := func(pc int8) []world { a.pc = pc; return []world{w} }
	end := func(result int8) []world {
		a.result = result
		return to(atEnd)
	}
	again := func() []world {
		if a.tries++; a.tries > 1 {
			return end(refused)
		}
		return to(cListParts)
	}
	done := func() []world {
		if w.was&(1<<a.list) == 0 {
			m.violated("a Complete is acknowledged whose list never was the object")
		}
		return to(cRemove)
	}
	finished := func() bool { return w.ours() && (w.object == a.list || m.bad.anyList) }
	switch a.pc {
	case cOpen:
		if w.key {
			return to(cListParts)
		}
		other := w // the replica has it cached
		other.actors[i].pc = cListParts
		return append(to(cLast), other)
	case cListParts:
		m.step(stepListParts)
		if !w.visible() {
			return to(cFinished)
		}
		a.got = w.stored
		return to(cRecords)
	case cRecords:
		m.step(stepListParts)
		if a.got != sendingOf(a.list) || w.records&(1<<a.got) == 0 {
			return to(cUnlessEnded)
		}
		if m.bad.recordsFirst {
			w.records = 0
		}
		if w.mark && !m.bad.keepMark {
			return to(cForget)
		}
		return to(cTrailer)
	case cForget:
		m.step(stepForgetGone)
		w.mark, w.oldMark = false, false
		return to(cTrailer)
	case cUnlessEnded:
		if !w.key || !w.visible() {
			return to(cFinished)
		}
		return end(refused) // InvalidPart
	case cTrailer:
		m.step(stepSendTrailer)
		if !w.visible() {
			return to(cFinished)
		}
		w.trailer = int8(i + 1)
		return to(cComplete)
	case cComplete:
		m.step(stepComplete)
		if !w.visible() {
			if m.kind == versitygw {
				return to(cJudge) // 200, because there is an object at the key
			}
			return to(cFinished)
		}
		if w.trailer != int8(i+1) || w.stored != sendingOf(a.list) {
			return again()
		}
		if m.kind == versitygw {
			w.hidden, w.pending, w.pendingFor = true, a.list, int8(i+1)
			return to(cAnswer)
		}
		other := w // one of the client's conditions does not hold
		other.actors[i].pc, other.actors[i].result = atEnd, refused
		w.exists, a.made = false, true
		m.become(&w, a.list, int8(i+1))
		return append(to(cJudge), other)
	case cAnswer:
		return nil // the store moves
	case cJudge, cJudgeAgain:
		m.step(stepCheckObject)
		if m.bad.believe200 {
			return done()
		}
		if w.ours() {
			if w.madeBy == int8(i+1) || w.object == a.list || m.bad.anyList {
				return done()
			}
			return end(noUpload)
		}
		if !w.key && (a.pc == cJudgeAgain || m.bad.keyDecides) {
			return to(cFinished)
		}
		if a.pc == cJudgeAgain {
			return to(cStillThere)
		}
		if m.kind == versitygw && a.made {
			return done() // the store's answer has checksums
		}
		return to(cTruth)
	case cTruth:
		m.step(stepCheckObject)
		if m.kind != versitygw {
			return done()
		}
		if !w.key {
			return to(cFinished)
		}
		return to(cJudgeAgain)
	case cStillThere:
		m.step(stepListParts)
		if w.visible() {
			return again()
		}
		if m.bad.overwrittenIsDone {
			return done()
		}
		return end(refused) // ServiceUnavailable: the outcome is unknown
	case cFinished, cLast:
		m.step(stepCheckObject)
		if finished() {
			return done()
		}
		if a.pc == cFinished && !a.listed {
			return to(cState)
		}
		return end(noUpload)
	case cState:
		if !w.key {
			return to(cLast)
		}
		a.listed = true // the pauses are over
		return to(cFinished)
	case cRemove:
		many := w
		m.step(stepRemoveKey)
		many.key = false
		many.actors[i].result, many.actors[i].pc = acknowledged, cRemoveMany
		m.step(stepRemoveRecords)
		w.records, w.key, w.mark, w.oldMark = 0, false, false, false
		return append(end(acknowledged), many)
	case cRemoveMany: // the client has its answer
		m.step(stepRemoveRecords)
		w.records, w.key, w.mark, w.oldMark = 0, false, false, false
		return to(atEnd)
	}
	return nil
}

func (m *model) become(w *world, list, by int8) {
	w.object, w.madeBy = list, by
	w.was |= 1 << list
}

// moves are the store's own steps: it finishes a Complete that it works on, even if the proxy that
// asked for it is gone.
func (m *model) moves(w world) []world {
	if w.pending == noList {
		return nil
	}
	by, list := w.pendingFor-1, w.pending
	w.hidden, w.pending, w.pendingFor = false, noList, 0
	failed := w
	w.exists = false
	m.become(&w, list, by+1)
	if a := &w.actors[by]; a.pc == cAnswer {
		a.pc, a.made = cJudge, true
		failed.actors[by].pc, failed.actors[by].result = atEnd, refused
	}
	return []world{w, failed}
}

func (m *model) sweep(w world, i int) []world {
	a := &w.actors[i]
	to := func(pc int8) []world { a.pc = pc; return []world{w} }
	// Two sweeps, apart by the grace time. No Complete takes that long.
	finish := func() []world {
		if a.tries++; a.tries == 2 {
			return to(atEnd)
		}
		return to(5)
	}
	switch a.pc {
	case 0:
		if m.bad.sweepByListing {
			a.gone = !w.exists // uploads that are not in the list
			return to(1)
		}
		return to(1)
	case 1:
		a.listed = w.key
		if !w.key && w.records == 0 {
			return finish()
		}
		if !w.key {
			return to(3)
		}
		if m.bad.sweepByListing {
			if a.gone {
				return to(4)
			}
			return finish()
		}
		return to(2)
	case 2:
		m.step(stepFindUpload)
		if w.visible() {
			if w.mark {
				return to(7)
			}
			return finish()
		}
		if m.bad.noGrace {
			return to(4)
		}
		return to(6)
	case 7:
		m.step(stepForgetGone)
		w.mark, w.oldMark = false, false
		return finish()
	case 6:
		m.step(stepCheckObject)
		if w.ours() {
			return to(4)
		}
		return to(3)
	case 3:
		m.step(stepMarkGone)
		if w.oldMark {
			return to(4)
		}
		w.mark = true
		return finish()
	case 4:
		m.step(stepRemoveRecords)
		w.records, w.key, w.mark, w.oldMark = 0, false, false, false
		return finish()
	case 5:
		for _, other := range w.actors {
			if other.kind == completer && other.pc != begins && other.pc < atEnd || w.pending != noList {
				return nil
			}
		}
		w.oldMark = w.mark
		return to(0)
	}
	return nil
}
