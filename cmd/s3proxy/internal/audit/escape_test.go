package audit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/s3proxy/s3proxy/proxy"
)

// A key must not move a terminal's cursor or turn the text around it, whoever shows the log.
func TestWhatATerminalObeysIsEscapedAndStaysWhatItIs(t *testing.T) {
	const key = "a\u007f\u0085b\u009b31mc\u202edxe\u2066\u2028\U000e0041 zürich 日本 \U0001f600"
	var events, lines bytes.Buffer
	l, err := Open("-", &events, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.Request(proxy.Served{Key: key})
	slog.New(slog.NewJSONHandler(Escaping(&lines), nil)).Info("request", "key", key)
	for _, line := range [][]byte{events.Bytes(), lines.Bytes()} {
		var got struct{ Key string }
		if err := json.Unmarshal(line, &got); err != nil || got.Key != key {
			t.Errorf("%q, %v", got.Key, err)
		}
		if bytes.ContainsAny(line, "\u007f\u0085\u009b\u202e\u2066\u2028\U000e0041") || !bytes.Contains(line, []byte("zürich 日本 \U0001f600")) {
			t.Errorf("%q", line)
		}
	}
}
