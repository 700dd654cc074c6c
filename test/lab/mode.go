package lab

import (
	"os"
)

// Direct runs the tests against the stores as they are, without a proxy. It is
// how a test is checked for being fair (what fails there too is not the
// proxy's) and able to fail (the attacks and searches must find something).
var Direct = os.Getenv("S3PROXY_TEST_DIRECT") == "1"

// Long makes the tests look at more places and larger objects (make test-long).
var Long = os.Getenv("S3PROXY_TEST_LONG") == "1"
