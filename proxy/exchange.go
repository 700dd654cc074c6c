package proxy

import (
	"github.com/s3proxy/s3proxy/proxy/object"
)

// exchange is one request on its way through the proxy and the answer to it, with the objects
// of the bucket that it names.
type exchange struct {
	proxy *Proxy // what is shared by all requests of this process
	*object.Objects
	clientRequest
	response

	admitted      func()                     // what Config.Admit gave; nil: nothing
	throttled     bool                       // Config.Admit has refused the request
	wanted        *encryption                // what the client asks for; nil: nothing
	bucketDefault func() (encryption, error) // waits for what the bucket has then; nil: not asked
}
