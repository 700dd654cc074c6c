package proxy

import (
	"net/http"
	"testing"
)

func TestAnETagThatCouldBeTakenForAnMD5GetsASuffixAndLosesItInConditions(t *testing.T) {
	const md5 = `"d41d8cd98f00b204e9800998ecf8427e"`
	for upstream, client := range map[string]string{
		md5:                                    `"d41d8cd98f00b204e9800998ecf8427e-0"`,
		"d41d8cd98f00b204e9800998ecf8427e":     "d41d8cd98f00b204e9800998ecf8427e-0",
		`"d41d8cd98f00b204e9800998ecf8427e-7"`: `"d41d8cd98f00b204e9800998ecf8427e-7"`,
		"":                                     "",
	} {
		if got := clientETag(upstream); got != client {
			t.Errorf("clientETag(%s) = %s, want %s", upstream, got, client)
		}
		if got := upstreamETags(client); got != upstream {
			t.Errorf("upstreamETags(%s) = %s, want %s", client, got, upstream)
		}
	}
}

func TestConditionsTakeBothFormsAndListsAndTheStar(t *testing.T) {
	original := http.Header{"If-Match": {`"aa-0", "bb" , "cc-2"`}, "If-None-Match": {"*"}}
	h := original.Clone()
	translateConditions(h)
	if got := h.Get("If-Match"); got != `"aa", "bb", "cc-2"` {
		t.Errorf("If-Match: %s", got)
	}
	if got := h.Get("If-None-Match"); got != "*" {
		t.Errorf("If-None-Match: %s", got)
	}
}
