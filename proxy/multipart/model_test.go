package multipart

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The protocol of a multipart upload as an explicit-state model: some actors work on one upload,
// each request to the store is one atomic step with the name that it has in the code, and a crash
// is possible between any two. All orders are explored.
//
// The upload's part 1 is sent as sending 1 by the client that made the Create, and may be sent
// again as sending 2; part 2 exists from the start. A list is what a Complete asks for.
const (
	noList     = iota
	listFirst  // part 1 as first sent
	listSecond // part 1 as sent again
	listBoth   // part 1 as first sent, and part 2
	lists
)

// What is at the key if it is not made from a list of this upload.
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
	versitygw           // answers 200 for what it does not have; hides an upload while it is completed
	minio               // answers 204 to an Abort of what it does not have
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

// Where an actor is, apart from its own numbers.
const (
	begins int8 = iota
	atEnd  int8 = 100
	dead   int8 = 101
)

// How it ended.
const (
	refused int8 = iota + 1 // an error that leaves open what happened, or says what to correct
	noUpload
	acknowledged
)

type actor struct {
	kind                     actorKind
	list                     int8
	pc, tries, got, result   int8
	afterAbort, gone, listed bool
	made                     bool // the store combined the object for this Complete
}

type world struct {
	exists, hidden      bool // the upload; hidden: it is being completed
	pending, pendingFor int8 // list being completed, and the actor + 1 that waits
	stored, trailer     int8 // sending of part 1; actor + 1 whose trailer is there
	key, mark, oldMark  bool
	records             uint8 // by sending
	object, madeBy      int8
	was                 uint8 // lists from which the object was ever made
	known, removing     bool  // the client knows the upload; an Abort got as far as removing
	latest              int8  // the sending that was acknowledged last
	aborted             bool
	actors              [5]actor
}

func (w *world) visible() bool { return w.exists && !w.hidden }
func (w *world) ours() bool    { return w.object > oldObject && w.object < otherObject }

// broken are deliberate faults, each of which the exploration must detect.
type broken struct {
	believe200, overwrittenIsDone, anyList, recordsFirst, answerBeforeRecord, abortRemovesAll, abortBelieves204, sweepByListing, noGrace, keepMark, keyDecides, abortLooksOnce bool
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

// check checks one world; quiet means that nobody is in the middle of anything.
func (m *model) check(w world, quiet bool) {
	for _, a := range w.actors {
		if a.kind != completer || a.result == 0 {
			continue
		}
		if a.made && a.result != acknowledged {
			m.violated("a Complete that made the object is not acknowledged")
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
		if a.kind != 0 && a.pc != atEnd && a.pc != dead && w.known {
			m.violated("an actor waits for ever at %d", a.pc)
		}
	}
	// A Complete repeated now would succeed.
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

// explore visits every world that the actors can reach.
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
				crashed.actors[i] = actor{kind: w.actors[i].kind, pc: dead, result: w.actors[i].result}
				if w.actors[i].pc != begins { // else it would never have existed
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
		{{kind: completer, list: listFirst}, {kind: aborter}, {kind: putter}},
		{{kind: completer, list: listFirst}, {kind: resender}, {kind: completer, list: listSecond}},
		{{kind: completer, list: listFirst}, {kind: sweeper}, {kind: putter}},
		{{kind: resender}, {kind: sweeper}, {kind: aborter}},
		{{kind: completer, list: listBoth}, {kind: sweeper}, {kind: aborter}},
		{{kind: completer, list: listFirst}, {kind: completer, list: listBoth}, {kind: sweeper}},
	}
}

func (m *model) all() (worlds int, fault string) {
	for _, scene := range modelScenes() {
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
		{"Abort does not see that the object was overwritten", minio, broken{abortLooksOnce: true}, "both acknowledged"},
		{"the sweep lists uploads first", honest, broken{sweepByListing: true}, "lost"},
		{"a Complete leaves the mark of a sweep", versitygw, broken{keepMark: true}, "lost"},
		{"a state that is gone is taken for an Abort", honest, broken{keyDecides: true}, "made the object"},
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
