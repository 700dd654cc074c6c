// Command servers builds the servers that the tests run, and prints their paths. make runs it
// before the tests, so that building does not count against a test's time limit.
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
