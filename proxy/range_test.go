package proxy

import (
	"errors"
	"testing"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

func TestARangeIsReadAsRFC9110SaysAndAnythingElseIsAsIfNotThere(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]*byteRange{
		"bytes=0-0": {0, 0}, "bytes=0-499": {0, 499}, "bytes=500-": {500, -1}, "bytes=-5": {-1, 5},
		"bytes= 1-2": nil, "bytes=1-2 ": nil, "": nil, "bytes=": nil, "bytes=-": nil, "bytes=5-4": nil, "bytes=+1-2": nil,
		"bytes=1-2,4-5": nil, "items=0-1": nil, "bytes=a-b": nil, "bytes=99999999999999999999-": nil, "bytes=--1": nil,
	} {
		got, ok := parseRange(header)
		if ok != (want != nil) || ok && got != *want {
			t.Errorf("parseRange(%q) = %v, %v; want %v", header, got, ok, want)
		}
	}
}

func TestARangeIsCutAtTheObjectsEndAndRefusedBehindIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r              byteRange
		size           int64
		offset, length int64
		refused        bool
	}{
		{byteRange{0, 9}, 10, 0, 10, false},
		{byteRange{0, 99}, 10, 0, 10, false},
		{byteRange{9, -1}, 10, 9, 1, false},
		{byteRange{10, -1}, 10, 0, 0, true},
		{byteRange{0, 0}, 0, 0, 0, true},
		{byteRange{-1, 3}, 10, 7, 3, false},
		{byteRange{-1, 30}, 10, 0, 10, false},
		{byteRange{-1, 0}, 10, 0, 0, true},
		{byteRange{-1, 5}, 0, 0, 0, true},
	} {
		offset, length, err := c.r.of(c.size)
		if errors.Is(err, s3err.InvalidRange) != c.refused || offset != c.offset || length != c.length {
			t.Errorf("%v of %d: %d, %d, %v", c.r, c.size, offset, length, err)
		}
	}
}
