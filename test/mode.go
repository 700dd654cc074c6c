package test

import (
	"os"
)

// direct runs the tests against the stores as they are, without a proxy. It is
// how a test is checked for being fair (what fails there too is not the
// proxy's) and able to fail (the attacks and searches must find something).
var direct = os.Getenv("S3PROXY_TEST_DIRECT") == "1"

// long makes the tests look at more places and larger objects (make test-long).
var long = os.Getenv("S3PROXY_TEST_LONG") == "1"
