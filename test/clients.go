package test

import (
	"github.com/s3proxy/s3proxy/test/lab"
)

// as is the proxy's client side for another key.
func as(p *lab.ProxyProcess, id, secret string) lab.S3 {
	return lab.S3{URL: p.URL, AccessKey: id, SecretKey: secret}
}
