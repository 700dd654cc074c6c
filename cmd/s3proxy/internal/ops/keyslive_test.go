package ops

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/kms/localfile"
)

// rotate makes a new version of the key, and gives the KEK of the one before.
func (l *live) rotate() (before string) {
	l.t.Helper()
	b, err := l.Open(l.t.Context(), l.name)
	if err != nil {
		l.t.Fatal(err)
	}
	old, err := b.Keyring.NewRewrapping(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	made := ""
	plans := []Plan[*Verified]{&Verify{Target: Target{Bucket: l.name}}, &Verify{Target: Target{Bucket: l.name}}}
	if err := NewVersions(l.t.Context(), l.job(), plans, func(kek string) { made += kek }); err != nil || strings.Count(made, "#") != 1 {
		l.t.Fatalf("new version %q: %v", made, err)
	}
	return old.KEK()
}

func (l *live) mayGo(kek string) (bool, string) {
	l.t.Helper()
	found, err := (&Status{Job: l.job(), Bucket: l.name, Objects: true, KEKs: []string{kek[strings.Index(kek, "#")+1:]}}).Run(l.t.Context())
	if err != nil || len(found.Keys) != 1 || (len(found.Failures()) == 0) != found.Keys[0].MayDestroy {
		l.t.Fatalf("%+v, %v", found, err)
	}
	return found.Keys[0].MayDestroy, found.Keys[0].Why
}

func (l *live) rotation(o Rotate) Plan[*Rotated] {
	l.t.Helper()
	dry := o.DryRun
	o.Job = l.job()
	o.DryRun = dry
	plans, err := PlanRotations(l.t.Context(), o, []Target{{Bucket: l.name}})
	if err != nil {
		l.t.Fatal(err)
	}
	return plans[0]
}

func TestARotatedVersionMayGoAndNothingIsLost(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	for i := range 3 {
		l.put(l.client, fmt.Sprintf("key %d", i), "content", nil)
	}
	old := l.rotate()
	if may, why := l.mayGo(old); may {
		t.Errorf("before the rotation: %s", why)
	}
	if found := must(l, l.rotation(Rotate{Job: Job{DryRun: true}})); found.Rewrapped != 1 || found.Records != 1 {
		t.Errorf("dry run: %+v", found)
	}
	if may, why := l.mayGo(old); may {
		t.Errorf("after a dry run: %s", why)
	}
	if found := must(l, l.rotation(Rotate{})); found.Rewrapped != 1 || found.Records != 1 || found.Current != 0 {
		t.Errorf("rotated: %+v", found)
	}
	if may, why := l.mayGo(old); !may {
		t.Errorf("after the rotation: %s", why)
	}
	if err := localfile.Destroy(t.Context(), l.keyset, old[strings.Index(old, "#")+1:]); err != nil {
		t.Fatal(err)
	}
	if found := must(l, &Verify{Job: l.job(), Target: Target{Bucket: l.name}, Versions: true, Sample: 1}); found.Objects != 3 || found.Records != 1 || found.Bytes != 3*7 {
		t.Errorf("verified: %+v", found)
	}
}

func TestObjectsOfWindowZeroAreRenewedBeforeTheirVersionMayGo(t *testing.T) {
	t.Parallel()
	l := newLive(t, 0)
	l.put(l.client, "below/one", "content", nil)
	l.put(l.client, "two", "content", nil)
	old := l.rotate()
	must(l, l.rotation(Rotate{}))
	if may, why := l.mayGo(old); may || !strings.HasPrefix(why, "2 objects of window 0") {
		t.Errorf("before: %v %q", may, why)
	}
	if found := must(l, l.rotation(Rotate{Objects: true, Job: Job{DryRun: true}})); found.Objects.Rewritten.Rewritten != 2 {
		t.Errorf("dry run: %+v", found.Objects.Rewritten)
	}
	if found := must(l, l.rotation(Rotate{Objects: true})); found.Objects.Rewritten.Rewritten != 2 || found.Objects.Done != 0 {
		t.Errorf("renewed: %+v", found.Objects.Rewritten)
	}
	if may, why := l.mayGo(old); !may {
		t.Errorf("after: %s", why)
	}
}

func TestWhatNoKeyIsCalledIsAMistake(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	var mistake Mistake
	if _, err := PlanRotations(t.Context(), Rotate{Job: l.job(), From: "another:key#1"}, []Target{{Bucket: l.name}}); !errors.As(err, &mistake) {
		t.Errorf("from: %v", err)
	}
	if _, err := (&Status{Job: l.job(), Bucket: l.name, KEKs: []string{"localfile:"}}).Run(t.Context()); !errors.As(err, &mistake) {
		t.Errorf("kek: %v", err)
	}
	if _, err := PlanRekeys(t.Context(), Rekey{Job: l.job(), Stolen: []string{"another:key#1"}}, []string{l.name}); err == nil || !strings.Contains(err.Error(), "stolen") {
		t.Errorf("stolen: %v", err)
	}
	if _, err := PlanRotations(t.Context(), Rotate{Job: l.job()}, []Target{{Bucket: l.name + "-not-there"}}); err == nil {
		t.Error("a bucket that is not there was planned")
	}
}

func TestAfterARekeyTheOldKeyOpensNothing(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "one", "content", nil)
	l.put(l.client, "two", "content", nil)
	stolen, raw := l.get(l.store, "one")
	job := l.job()
	job.DryRun = true
	plans, err := PlanRekeys(t.Context(), Rekey{Job: job}, []string{l.name})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := plans[0].Run(t.Context()); err != nil || found.Rewritten.Rewritten != 2 || found.Closed {
		t.Errorf("dry run: %+v, %v", found, err)
	}
	opened := ""
	plans, err = PlanRekeys(t.Context(), Rekey{Job: l.job(), NewVersion: true, Opened: func(_, floor string) { opened = floor }}, []string{l.name})
	if err != nil {
		t.Fatal(err)
	}
	l.rotate()
	time.Sleep(1100 * time.Millisecond) // a key file is read again after a second
	found := must(l, plans[0])
	if found.Rewritten.Rewritten != 2 || !found.Closed || found.Floor != opened || found.Records != 1 {
		t.Errorf("rekeyed: %+v %+v", found, found.Rewritten)
	}
	l.serve()
	if _, body := l.get(l.client, "two"); body != "content" {
		t.Errorf("it reads as %q", body)
	}
	l.put(l.store, "one", raw, metadata(stolen))
	verified, err := (&Verify{Job: l.job(), Target: Target{Bucket: l.name}, Sample: 1}).Run(t.Context())
	if err != nil || len(verified.Bad) != 1 || verified.Bad[Item{Key: "one"}] == "" {
		t.Errorf("%+v, %v", verified, err)
	}
}

func TestAnUploadInProgressKeepsTheFloorOpenUntilItIsLeftBehind(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "one", "content", nil)
	l.begin("two")
	floor := ""
	o := Rekey{Job: l.job(), NewVersion: true, Opened: func(_, id string) { floor = id }}
	plans, err := PlanRekeys(t.Context(), o, []string{l.name})
	if err != nil {
		t.Fatal(err)
	}
	old := l.rotate()
	time.Sleep(1100 * time.Millisecond) // a key file is read again after a second
	found, err := plans[0].Run(t.Context())
	if err != nil || found.Closed || found.Uploads != 1 || len(found.First) != 1 || len(found.Failures()) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	rotated := must(l, l.rotation(Rotate{Objects: true}))
	if rotated.Objects.Uploads != 1 || rotated.Floor == "" {
		t.Errorf("%+v %+v", rotated, rotated.Objects)
	}
	if may, why := l.mayGo(old); !may { // the upload's window has a record, which is rotated
		t.Errorf("the old version may not go: %s", why)
	}
	o.NewVersion, o.Resume, o.LeaveBehind = false, floor, true
	if plans, err = PlanRekeys(t.Context(), o, []string{l.name}); err != nil {
		t.Fatal(err)
	}
	if found := must(l, plans[0]); !found.Closed || found.Floor != floor || found.Uploads != 1 {
		t.Errorf("resumed: %+v", found)
	}
}

func TestWhatAReportNamesAsFailedIsAFailure(t *testing.T) {
	t.Parallel()
	some := Reasons{{Key: "x"}: "reason"}
	for _, c := range []struct {
		report interface{ Failures() []error }
		want   int
	}{
		{&Rotated{}, 0},
		{&Rotated{Failed: some, Objects: &Renewed{Rewritten: &Rewritten{Failed: some}}}, 2},
		{&Rekeyed{Rewritten: &Rewritten{Locked: 1}, whole: true}, 1},
		{&Rekeyed{Rewritten: &Rewritten{Locked: 1}, whole: true, Closed: true}, 0},
		{&Rekeyed{Rewritten: &Rewritten{Locked: 1}}, 0}, // the error says why
		{&EncryptedExisting{Rewritten: &Rewritten{}}, 0},
		{&EncryptedExisting{Rewritten: &Rewritten{Archived: 1}, Unreadable: some}, 2},
		{&Verified{Bad: some}, 1},
		{&SweptRecords{Failed: some}, 1},
		{&SweptRecords{Failed: some, Unreadable: some}, 1},
		{&SweptUploads{Failed: some, whole: true}, 1},
		{&SweptUploads{Failed: some}, 0}, // the error says why
		{&KeyStatus{Keys: []*KEKUse{{}}}, 0},
		{&KeyStatus{Keys: []*KEKUse{{}}, asked: true, Unreadable: some}, 2},
	} {
		if got := c.report.Failures(); len(got) != c.want {
			t.Errorf("%+v: %v, want %d", c.report, got, c.want)
		}
	}
}
