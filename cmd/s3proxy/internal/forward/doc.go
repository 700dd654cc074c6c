// Package forward makes the clients' listener an HTTP proxy for clients that keep the store's own
// endpoint (HTTP_PROXY, HTTPS_PROXY). It never is a proxy for anything else than it was told.
//
//   - hosts.go: which hosts are the stores', and where CONNECT may lead.
//   - forward.go: requests in absolute form, which are handled as if they had been sent to us.
//   - connect.go: who may open a tunnel, and where to.
//   - tunnel.go: bytes that go through, until they stop or the proxy ends.
//   - dial.go: which addresses a name may have.
//   - intercept.go: TLS that is ended here, in the place of a tunnel to a store.
package forward
