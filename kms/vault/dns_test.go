package vault_test

import (
	"context"
	"encoding/binary"
	"net"
	"strconv"
	"strings"
	"testing"
)

// What a question in DNS asks for.
const (
	typeA   = 1
	typeSRV = 33
)

// names has the test's program find a name by an SRV record, as _http._tcp.NAME, that leads
// to an IPv4 address and port. No other name is found.
func names(t *testing.T, name, address string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		for buf := make([]byte, 512); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answerDNS(buf[:n], name, net.ParseIP(host).To4(), uint16(number)), from)
		}
	}()
	resolver := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = resolver })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answerDNS answers one question. RFC 1035, section 4; RFC 2782.
func answerDNS(query []byte, name string, ip net.IP, port uint16) []byte {
	const header = 12
	var labels []string
	at := header
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	asked, kind := strings.ToLower(strings.Join(labels, ".")), binary.BigEndian.Uint16(query[at+1:])
	var data []byte
	switch {
	case kind == typeSRV && asked == "_http._tcp."+name:
		data = binary.BigEndian.AppendUint16(make([]byte, 4), port) // behind priority and weight
		for label := range strings.SplitSeq(name, ".") {
			data = append(append(data, byte(len(label))), label...)
		}
		data = append(data, 0)
	case kind == typeA && asked == name:
		data = ip
	}
	answer := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, query[header:at+5]...)
	if data == nil {
		return answer // the name has no such record
	}
	answer[7] = 1
	answer = append(answer, 0xc0, header) // the name as in the question
	answer = binary.BigEndian.AppendUint16(answer, kind)
	answer = append(answer, 0, 1, 0, 0, 0, 0) // of the internet, not to be kept
	answer = binary.BigEndian.AppendUint16(answer, uint16(len(data)))
	return append(answer, data...)
}
