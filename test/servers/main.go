// Command servers builds the stores that the tests run, and prints where they
// are. make does it before the tests, so that no test's time limit pays for it.
package main

import (
	"fmt"
	"os"

	"github.com/s3proxy/s3proxy/test/lab"
)

func main() {
	paths, err := lab.BuildServers()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, path := range paths {
		fmt.Println(path)
	}
}
