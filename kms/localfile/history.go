package localfile

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// The history of a keyset is beside it, in path + ".history": one line of JSON for each change.
// It holds no secret, and without it only [KeyInfo.Made] is lost. It is also what a change
// locks: the keyset itself is a different file after each change.

// event is a line of the history.
type event struct {
	Time    time.Time `json:"time"`
	Change  string    `json:"change"`            // such as "made"
	Version string    `json:"version,omitempty"` // of the key that was changed
}

const changeMade = "made"

func historyPath(path string) string { return path + ".history" }

// lock waits until nobody else changes the keyset at path. Closing the file releases the lock.
func lock(ctx context.Context, path string) (*os.File, error) {
	f, err := openHistory(path)
	if err != nil {
		return nil, fmt.Errorf("locking keyset file %s: %w", path, err)
	}
	const pause = 20 * time.Millisecond
	for {
		taken, err := tryLock(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("locking keyset file %s: %w", path, err), f.Close())
		}
		if taken {
			return f, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another change of keyset file %s: %w", path, ctx.Err()), f.Close())
		case <-time.After(pause):
		}
	}
}

// note adds an event to the locked history. It reports no failure, since the change itself is
// done.
func note(history *os.File, e event) {
	e.Time = time.Now().UTC().Truncate(time.Second)
	line, err := json.Marshal(e)
	if err == nil {
		_, _ = history.Write(append(line, '\n'))
	}
}

// madeTimes gives, by version, when keys were made, as far as the history knows.
func madeTimes(path string) map[string]time.Time {
	made := make(map[string]time.Time)
	f, err := openRegular(historyPath(realPath(path)), os.O_RDONLY)
	if err != nil {
		return made
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Change == changeMade {
			made[e.Version] = e.Time
		}
	}
	return made
}
