package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The protocol of a multipart upload as an explicit-state model: some actors on one
// upload, each request to the store one atomic step with the name that it has in
// the code, a crash possible between any two. All orders are explored.
//
// The upload's part 1 is sent as sending 1, by Create's client, and may be sent
// again as sending 2; part 2 is there from the start. A list is what a Complete
// asks for.
const (
	noList     = iota
	listFirst  // part 1 as first sent
	listSecond // part 1 as sent again
	listBoth   // part 1 as first sent, and part 2
	lists
)

// What stands at the key when it is no list of this upload.
const (
	oldObject   = 0
	otherObject = lists
)

func sendingOf(list int8) int8 {
	if list == listSecond {
		return 2
	}
	return 1
}

type storeKind int8

const (
	honest    storeKind = iota
	versitygw           // 200 for what it has not; hides an upload while it is completed
	minio               // 204 to an Abort of what it has not
)

type actorKind int8

const (
	creator actorKind = iota + 1
	resender
	completer
	aborter
	sweeper
	putter
)

// Where an actor is, besides its own numbers.
const (
	begins int8 = iota
	ended  int8 = 100
	dead   int8 = 101
)

// How it ended.
const (
	refused int8 = iota + 1 // an error that leaves open what happened, or says what to mend
	noUpload
	acknowledged
)

type actor struct {
	kind                     actorKind
	list                     int8
	pc, tries, got, result   int8
	afterAbort, gone, listed bool
}

type world struct {
	exists, hidden      bool // the upload; hidden: it is being completed
	pending, pendingFor int8 // list being completed, and the actor + 1 that waits
	stored, trailer     int8 // sending of part 1; actor + 1 whose trailer is there
	key, mark, oldMark  bool
	records             uint8 // by sending
	object, madeBy      int8
	was                 uint8 // lists that the object has been
	known, removing     bool  // the client knows the upload; an Abort got as far as to remove
	latest              int8  // sending that was acknowledged last
	aborted             bool
	actors              [5]actor
}

func (w *world) visible() bool { return w.exists && !w.hidden }
func (w *world) ours() bool    { return w.object > oldObject && w.object < otherObject }

// broken are deliberate faults, each of which the exploration must see.
type broken struct {
	believe200, overwrittenIsDone, anyList, recordsFirst, answerBeforeRecord, abortRemovesAll, abortBelieves204, sweepByListing, noGrace, keepMark bool
}

type model struct {
	kind  storeKind
	bad   broken
	taken map[string]bool // steps
	fault string
}

func (m *model) step(name string) { m.taken[name] = true }

func (m *model) violated(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

// next gives the worlds behind w by one step of actor i.
func (m *model) next(w world, i int) []world {
	a := &w.actors[i]
	to := func(pc int8) []world { a.pc = pc; return []world{w} }
	end := func(result int8) []world {
		a.result = result
		return to(ended)
	}
	if a.pc == ended || a.pc == dead || a.kind != creator && a.kind != putter && a.kind != sweeper && !w.known {
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
	case resender: // its replica has the state in its cache
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
			if a.gone && w.key && !m.bad.abortRemovesAll {
				return end(noUpload) // the sweep looks after it
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
)

func (m *model) complete(w world, i int) []world {
	a := &w.actors[i]
	to := func(pc int8) []world { a.pc = pc; return []world{w} }
	end := func(result int8) []world {
		a.result = result
		return to(ended)
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
		other := w // the replica has it in its cache
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
				return to(cJudge) // 200: an object stands at the key
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
		other := w // a condition of the client does not hold
		other.actors[i].pc, other.actors[i].result = ended, refused
		w.exists = false
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
		if !w.key {
			return to(cFinished)
		}
		if a.pc == cJudgeAgain {
			return to(cStillThere)
		}
		return to(cTruth)
	case cTruth:
		m.step(stepCheckObject)
		if !w.key {
			return to(cFinished)
		}
		if m.kind != versitygw {
			return done()
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
		return end(refused) // ServiceUnavailable: not known
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
		a.listed = true // the pauses come to an end
		return to(cFinished)
	case cRemove:
		m.step(stepRemoveRecords)
		w.records, w.key, w.mark, w.oldMark = 0, false, false, false
		return end(acknowledged)
	}
	return nil
}

func (m *model) become(w *world, list, by int8) {
	w.object, w.madeBy = list, by
	w.was |= 1 << list
}

// moves are the store's own: it ends a Complete that it works on, also when the
// proxy that asked is gone.
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
		a.pc = cJudge
		failed.actors[by].pc, failed.actors[by].result = ended, refused
	}
	return []world{w, failed}
}

func (m *model) sweep(w world, i int) []world {
	a := &w.actors[i]
	to := func(pc int8) []world { a.pc = pc; return []world{w} }
	// Two sweeps, the grace time apart. No Complete takes that long.
	over := func() []world {
		if a.tries++; a.tries == 2 {
			return to(ended)
		}
		return to(5)
	}
	switch a.pc {
	case 0:
		if m.bad.sweepByListing {
			a.gone = !w.exists // who is not in the list
			return to(1)
		}
		return to(1)
	case 1:
		a.listed = w.key
		if !w.key && w.records == 0 {
			return over()
		}
		if !w.key {
			return to(3)
		}
		if m.bad.sweepByListing {
			if a.gone {
				return to(4)
			}
			return over()
		}
		return to(2)
	case 2:
		m.step(stepFindUpload)
		if w.visible() {
			if w.mark {
				return to(7)
			}
			return over()
		}
		if m.bad.noGrace {
			return to(4)
		}
		return to(6)
	case 7:
		m.step(stepForgetGone)
		w.mark, w.oldMark = false, false
		return over()
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
		return over()
	case 4:
		m.step(stepRemoveRecords)
		w.records, w.key, w.mark, w.oldMark = 0, false, false, false
		return over()
	case 5:
		for _, other := range w.actors {
			if other.kind == completer && other.pc != begins && other.pc < ended || w.pending != noList {
				return nil
			}
		}
		w.oldMark = w.mark
		return to(0)
	}
	return nil
}

// check looks at one world; quiet: nobody is in the middle of anything.
func (m *model) check(w world, quiet bool) {
	for _, a := range w.actors {
		if a.kind != completer || a.pc != ended {
			continue
		}
		if a.result == acknowledged && w.aborted {
			m.violated("a Complete and an Abort are both acknowledged")
		}
		if a.afterAbort && a.result != noUpload {
			m.violated("a Complete after an Abort that was acknowledged is not NoSuchUpload")
		}
	}
	if w.known && w.visible() && !w.removing && !w.key {
		m.violated("a live upload has lost its key")
	}
	if w.known && w.visible() && !w.removing && w.latest != 0 && w.records&(1<<w.latest) == 0 {
		m.violated("a live upload has lost the record of a part that was acknowledged")
	}
	if w.known && quiet && w.visible() && !w.removing && w.stored != w.latest && !slices.ContainsFunc(w.actors[:], func(a actor) bool { return a.kind == resender && a.pc == dead }) {
		m.violated("a part that was acknowledged is not the one in the upload")
	}
	if !quiet {
		return
	}
	for _, a := range w.actors {
		if a.kind != 0 && a.pc != ended && a.pc != dead && w.known {
			m.violated("an actor waits for ever at %d", a.pc)
		}
	}
	// A Complete that is repeated now ends well.
	if !w.known || w.removing || m.fault != "" {
		return
	}
	list := w.object
	switch {
	case w.ours():
	case w.visible() && w.stored == w.latest:
		list = map[int8]int8{1: listFirst, 2: listSecond}[w.latest]
	default:
		return
	}
	w.actors = [5]actor{{kind: completer, list: list, afterAbort: w.aborted}}
	for {
		behind := append(m.next(w, 0), m.moves(w)...)
		if len(behind) == 0 {
			break
		}
		w = behind[0]
	}
	if r := w.actors[0].result; r != acknowledged {
		m.violated("a repeated Complete ends with %d", r)
	}
}

// explore visits every world that the actors reach.
func (m *model) explore(actors ...actor) (worlds int) {
	m.fault = ""
	var first world
	copy(first.actors[:], append([]actor{{kind: creator}}, actors...))
	seen := map[world]bool{first: true}
	todo := []world{first}
	for len(todo) > 0 && m.fault == "" {
		w := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		behind := m.moves(w)
		for i := range w.actors {
			steps := m.next(w, i)
			if len(steps) > 0 || w.actors[i].pc == cAnswer && w.actors[i].kind == completer {
				crashed := w
				crashed.actors[i] = actor{kind: w.actors[i].kind, pc: dead}
				if w.actors[i].pc != begins { // else it had never been
					todo = m.visit(seen, todo, crashed)
				}
			}
			behind = append(behind, steps...)
		}
		m.check(w, len(behind) == 0)
		for _, b := range behind {
			todo = m.visit(seen, todo, b)
		}
	}
	return len(seen)
}

func (m *model) visit(seen map[world]bool, todo []world, w world) []world {
	if seen[w] {
		return todo
	}
	seen[w] = true
	return append(todo, w)
}

func modelScenes() [][]actor {
	return [][]actor{
		{{kind: completer, list: listFirst}, {kind: completer, list: listFirst}, {kind: aborter}},
		{{kind: completer, list: listFirst}, {kind: completer, list: listBoth}, {kind: putter}},
		{{kind: completer, list: listSecond}, {kind: resender}, {kind: aborter}},
		{{kind: completer, list: listFirst}, {kind: resender}, {kind: completer, list: listSecond}},
		{{kind: completer, list: listFirst}, {kind: sweeper}, {kind: putter}},
		{{kind: resender}, {kind: sweeper}, {kind: aborter}},
		{{kind: completer, list: listBoth}, {kind: sweeper}, {kind: aborter}},
		{{kind: completer, list: listFirst}, {kind: completer, list: listBoth}, {kind: sweeper}},
	}
}

func (m *model) all() (worlds int, fault string) {
	for _, scene := range modelScenes() {
		if m.kind == minio && slices.ContainsFunc(scene, func(a actor) bool { return a.kind == putter }) {
			continue // its 204 to anything cannot be seen through once the object is overwritten
		}
		worlds += m.explore(scene...)
		if m.fault != "" {
			return worlds, m.fault
		}
	}
	return worlds, ""
}

var kinds = map[string]storeKind{"honest": honest, "versitygw": versitygw, "minio": minio}

func TestTheProtocolOfUploadsHoldsInEveryOrderAndCrash(t *testing.T) {
	taken := map[string]bool{}
	for name, kind := range kinds {
		m := &model{kind: kind, taken: taken}
		worlds, fault := m.all()
		if fault != "" {
			t.Errorf("%s: %s", name, fault)
		}
		t.Logf("%s: %d worlds", name, worlds)
	}
	for _, s := range steps {
		if !taken[s] {
			t.Errorf("the model has no step %q", s)
		}
	}
}

func TestTheModelSeesEachDeliberateFault(t *testing.T) {
	for _, fault := range []struct {
		name string
		kind storeKind
		bad  broken
		want string
	}{
		{"a 200 is believed", versitygw, broken{believe200: true}, "never was the object"},
		{"gone and not aborted is taken for done", versitygw, broken{overwrittenIsDone: true}, "never was the object"},
		{"any list is as good", honest, broken{anyList: true}, "never was the object"},
		{"records are removed before Complete", honest, broken{recordsFirst: true}, "lost the record"},
		{"a part is acknowledged before its record is there", honest, broken{answerBeforeRecord: true}, "lost the record"},
		{"Abort removes the state of an upload that is hidden", versitygw, broken{abortRemovesAll: true}, "lost"},
		{"Abort believes MinIO's 204", minio, broken{abortBelieves204: true}, "both acknowledged"},
		{"the sweep lists uploads first", honest, broken{sweepByListing: true}, "lost"},
		{"a Complete leaves the mark of a sweep", versitygw, broken{keepMark: true}, "lost"},
		{"the sweep does not wait", versitygw, broken{noGrace: true}, "lost"},
	} {
		m := &model{kind: fault.kind, bad: fault.bad, taken: map[string]bool{}}
		_, found := m.all()
		t.Logf("%s: %s", fault.name, found)
		if found == "" || !strings.Contains(found, fault.want) {
			t.Errorf("%s: the model says %q", fault.name, found)
		}
	}
}
