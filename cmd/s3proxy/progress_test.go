package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// Where there is no terminal, a walk tells every ten seconds how far it is, and nothing after its
// end.
func TestProgressIsALineEveryTenSeconds(t *testing.T) {
	for how, want := range map[string]string{
		"none": "",
		"auto": "s3://photos/2026/: 20 objects, 2.0 MiB, 1 failed, 2.0/s\n" +
			"s3://photos/2026/: 25 objects, 2.0 MiB, 1 failed, 0.5/s\n",
		"json": `{"event":"progress","time":"2000-01-01T00:00:10Z","bucket":"photos","prefix":"2026/","unit":"objects","done":20,"bytes":2097152,"failed":1,"per-second":2}` + "\n" +
			`{"event":"progress","time":"2000-01-01T00:00:20Z","bucket":"photos","prefix":"2026/","unit":"objects","done":25,"bytes":2097152,"failed":1,"per-second":0.5}` + "\n",
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				p := newProgress(&config.Config{LogFormat: "text"}, how, &out)
				p.Start(ops.Walk{Target: ops.Target{Bucket: "photos", Prefix: "2026/"}, Unit: "objects"})
				p.Add(ops.Step{Bytes: 2 << 20, Failed: true})
				for range 19 {
					p.Add(ops.Step{})
				}
				time.Sleep(11 * time.Second)
				for range 5 {
					p.Add(ops.Step{})
				}
				time.Sleep(10 * time.Second)
				p.Finish()
				time.Sleep(time.Minute)
				if out.String() != want {
					t.Errorf("got\n%swant\n%s", out.String(), want)
				}
				if p.Counts() {
					t.Error("it wants a total, which costs a listing")
				}
			})
		})
	}
}

func TestProgressIsJSONWhereTheLogIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if p, is := newProgress(&config.Config{LogFormat: "json"}, "auto", &out).(*progressLines); !is || !p.json {
		t.Errorf("%+v", p)
	}
	if p, is := newProgress(&config.Config{LogFormat: "json"}, "plain", &out).(*progressLines); !is || p.json {
		t.Errorf("%+v", p)
	}
}
