package everyclient

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// client is a row of the table.
type client struct {
	name    string
	what    string // is run
	note    string
	version func(testing.TB) string
	run     func(*testing.T, place)
	places  []string          // nil: usual
	quick   bool              // also a part of make test-all, once
	absent  string            // why it is not run at all
	except  map[string]string // places where it cannot pass, and why: those of stores alone
}

// clients are all rows.
func clients() []client {
	return slices.Concat(commandLines(), backups(), databases(), libraries(), others(), absent())
}

// TestEveryClient runs them one after the other. With S3PROXY_TEST_CLIENTS=1 (make test-clients)
// it runs all, everywhere, and writes the table.
func TestEveryClient(t *testing.T) {
	if lab.Direct {
		t.Skip("it runs each client without the proxy, too")
	}
	lab.TakesLong(t)
	started, results := &started{t: t}, map[string]*result{}
	for _, c := range clients() {
		if c.absent != "" || !c.quick && !lab.Clients {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			r := &result{}
			results[c.name] = r
			r.version = c.version(t)
			for _, name := range c.at() {
				if reason := c.except[name]; reason != "" {
					r.direct = append(r.direct, fmt.Sprintf("not %s: %s", strings.Fields(name)[0], reason))
					continue
				}
				place := started.place(name)
				t.Run(name, func(t *testing.T) {
					defer func() { r.add(place, !t.Failed()) }()
					c.run(t, place)
				})
			}
		})
	}
	if lab.Clients {
		writeTable(t, results)
	}
}

func (c client) at() []string {
	places := c.places
	if places == nil {
		places = usual
	}
	if lab.Clients {
		return places
	}
	return places[len(places)-1:]
}
