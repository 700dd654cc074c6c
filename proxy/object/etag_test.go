package object

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
		if got := ClientETag(upstream); got != client {
			t.Errorf("clientETag(%s) = %s, want %s", upstream, got, client)
		}
		if got := UpstreamETags(client); got != upstream {
			t.Errorf("upstreamETags(%s) = %s, want %s", client, got, upstream)
		}
	}
}

func TestConditionsTakeBothFormsAndListsAndTheStar(t *testing.T) {
	original := http.Header{"If-Match": {`"aa-0", "bb" , "cc-2"`}, "If-None-Match": {"*"}}
	h := original.Clone()
	TranslateConditions(h)
	if got := h.Get("If-Match"); got != `"aa", "bb", "cc-2"` {
		t.Errorf("If-Match: %s", got)
	}
	if got := h.Get("If-None-Match"); got != "*" {
		t.Errorf("If-None-Match: %s", got)
	}
}

func TestAListOfETagsNamesAnObjectByEitherForm(t *testing.T) {
	tag := ETag{Shown: `"5d41402abc4b2a76b9719d911017c592"`, Upstream: `"aaaa"`, Plain: true}
	for list, want := range map[string][2]bool{ // strongly, weakly
		"*":                                  {true, true},
		`"5d41402abc4b2a76b9719d911017c592"`: {true, true},
		`5d41402abc4b2a76b9719d911017c592`:   {true, true},
		`"x", "5d41402abc4b2a76b9719d911017c592"`: {true, true},
		`"x","y"`:                              {false, false},
		`"aaaa"`:                               {true, true},
		`"aaaa-0"`:                             {true, true},
		`"aaaa-1"`:                             {false, false},
		`W/"5d41402abc4b2a76b9719d911017c592"`: {false, true},
		"":                                     {false, false},
	} {
		if got := [2]bool{tag.IsIn(list), tag.IsInWeakly(list)}; got != want {
			t.Errorf("%s: %v, want %v", list, got, want)
		}
	}
	for condition, want := range map[string]bool{"": false, "*": false, " * ": false, `"a"`: true, "a": true, `*, "a"`: true} {
		if got := NamesETag(condition); got != want {
			t.Errorf("namesETag(%s) = %v", condition, got)
		}
	}
}
