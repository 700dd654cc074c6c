package ops

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3proxy/s3proxy/proxy/upstream"
)

func TestOnlyRecordsThatNothingNamesAreSwept(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "stays", "content", nil)
	l.serve() // of another window
	l.put(l.client, "goes", "content", nil)
	l.send(l.store, &upstream.Request{Method: http.MethodDelete, Key: keyOf(t, "goes")})
	sweep := &SweepRecords{Job: l.job(), Bucket: l.name, Grace: time.Hour}
	if found := must(l, sweep); found.Records != 2 || found.Named != 1 || found.Young != 1 || found.Removed != 0 {
		t.Errorf("within the grace: %+v", found)
	}
	sweep.Grace, sweep.DryRun = 0, true
	time.Sleep(1100 * time.Millisecond) // the store's dates have seconds
	if found := must(l, sweep); found.Removed != 1 {
		t.Errorf("dry run: %+v", found)
	}
	sweep.DryRun = false
	if found := must(l, sweep); found.Records != 2 || found.Named != 1 || found.Removed != 1 {
		t.Errorf("swept: %+v", found)
	}
	if found := must(l, sweep); found.Records != 1 || found.Named != 1 || found.Removed != 0 {
		t.Errorf("again: %+v", found)
	}
}

func TestOneObjectThatCannotBeReadKeepsAllRecords(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.put(l.client, "goes", "content", nil)
	l.put(l.client, "odd", "content", nil)
	header, raw := l.get(l.store, "odd")
	l.send(l.store, &upstream.Request{Method: http.MethodDelete, Key: keyOf(t, "goes")})
	odd := metadata(header)
	for name := range odd {
		if strings.Contains(strings.ToLower(name), "format") {
			odd.Set(name, "99")
		}
	}
	l.put(l.store, "odd", raw, odd)
	time.Sleep(1100 * time.Millisecond)
	found, err := (&SweepRecords{Job: l.job(), Bucket: l.name}).Run(t.Context())
	if err != nil || len(found.Unreadable) != 1 || found.Removed != 0 || len(found.Failures()) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	status, err := (&Status{Job: l.job(), Bucket: l.name, Objects: true}).Run(t.Context())
	if err != nil || len(status.Unreadable) != 1 || len(status.Failures()) != 1 {
		t.Errorf("%+v, %v", status, err)
	}
}

func TestTheStateOfAnUploadThatIsGoneIsSwept(t *testing.T) {
	t.Parallel()
	l := newLive(t, time.Hour)
	l.begin("live")
	gone := l.begin("gone")
	l.send(l.store, &upstream.Request{Method: http.MethodDelete, Key: keyOf(t, "gone"), UploadID: gone})
	sweep := &SweepUploads{Job: l.job(), Bucket: l.name}
	sweep.DryRun = true
	if found := must(l, sweep); found.Removed != 1 || found.Live != 1 {
		t.Errorf("dry run: %+v", found)
	}
	sweep.DryRun = false
	if found := must(l, sweep); found.Removed != 1 || found.Live != 1 {
		t.Errorf("swept: %+v", found)
	}
	if found := must(l, sweep); found.Removed != 0 || found.Live != 1 {
		t.Errorf("again: %+v", found)
	}
	if _, err := (&SweepUploads{Job: l.job(), Bucket: l.name + "-not-there"}).Run(t.Context()); err == nil {
		t.Error("a bucket that is not there was swept")
	}
}
