package lab

// ProxyAs is the proxy's client side for another key.
func ProxyAs(p *ProxyProcess, id, secret string) S3 {
	return S3{URL: p.URL, AccessKey: id, SecretKey: secret}
}
