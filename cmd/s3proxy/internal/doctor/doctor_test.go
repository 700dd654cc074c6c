package doctor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

func TestTheMachineIsJudgedByWhatItHas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		got  Finding
		want State
	}{
		"room":                  {room(leastFree), OK},
		"no room":               {room(leastFree - 1), Warning},
		"files":                 {files(8192, 8192), OK},
		"few files":             {files(8191, 8192), Warning},
		"AES by instructions":   {aes(true, "AES-NI"), OK},
		"AES without":           {aes(false, "AES-NI"), Warning},
		"this machine's files":  {OpenFiles(1).Look(t.Context()), OK},
		"this machine's folder": {TempFolder().Look(t.Context()), OK},
	} {
		if c.got.State != c.want || (c.want == Warning) != (c.got.Do != "") {
			t.Errorf("%s: %+v, want %s", name, c.got, c.want)
		}
	}
}

func TestACertificateIsJudgedByHowLongItLasts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for left, want := range map[time.Duration]State{90 * 24 * time.Hour: OK, 13 * 24 * time.Hour: Warning, -time.Second: Failed} {
		if f := lasts(now.AddDate(-1, 0, 0), now.Add(left), now); f.State != want {
			t.Errorf("%v left: %+v, want %s", left, f, want)
		}
	}
	if f := lasts(now.Add(-time.Hour), now.Add(24*time.Hour), now); f.State != OK {
		t.Errorf("one that is made for a day: %+v", f)
	}
	if f := lasts(now.Add(time.Hour), now.Add(time.Hour*24*90), now); f.State != Failed {
		t.Errorf("not yet: %+v", f)
	}
}

func TestAClockIsJudgedByHowFarItIsOff(t *testing.T) {
	t.Parallel()
	before := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	after := before.Add(200 * time.Millisecond)
	for off, want := range map[time.Duration]State{
		0: OK, -2 * time.Second: OK, 20 * time.Second: OK, 40 * time.Second: Warning, -40 * time.Second: Warning, 4 * time.Minute: Warning, 6 * time.Minute: Failed, -time.Hour: Failed,
	} {
		if f := skew(before.Add(off), before, after); f.State != want {
			t.Errorf("%v: %+v, want %s", off, f, want)
		}
	}
	if f := skew(before.Add(20*time.Second), before, before.Add(40*time.Second)); f.State != OK {
		t.Errorf("of an answer that took long: %+v", f)
	}
}

// A run that is ended makes no further checks, and cleans up all the same.
func TestARunThatIsEndedCleansUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var made []string
	look := func(name string) func(context.Context) Finding {
		return func(ctx context.Context) Finding {
			if made = append(made, name); name == "second" {
				cancel()
			}
			if name == "cleanup" && ctx.Err() != nil {
				t.Error("it has no time to clean up")
			}
			return well("fine")
		}
	}
	var printed []string
	_, err := Run(ctx, []Check{{Name: "first", Look: look("first")}, {Name: "second", Look: look("second")}, {Name: "third", Look: look("third")}, {Name: "cleanup", Look: look("cleanup"), Always: true}}, func(r Result) error {
		printed = append(printed, r.Check)
		return nil
	})
	if !errors.Is(err, context.Canceled) || !slices.Equal(made, []string{"first", "second", "cleanup"}) || !slices.Equal(printed, []string{"first", "cleanup"}) {
		t.Errorf("made %q, printed %q, %v", made, printed, err)
	}
}

func TestWhatTheProxyTellsOfARequestIsRead(t *testing.T) {
	t.Parallel()
	got, told := requestSeen("GET\n/s3/\na=b\naccept:x\nhost:backend:8080\n\naccept;host\nUNSIGNED-PAYLOAD")
	if !told || got != (seen{"/s3/", "a=b", "backend:8080"}) {
		t.Errorf("%+v, %t", got, told)
	}
	for _, other := range []string{"", "GET\n/\n", "GET\n/\n\naccept:x\n"} {
		if got, told := requestSeen(other); told {
			t.Errorf("%q: %+v", other, got)
		}
	}
}
