package envelope

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

var benchSizes = []int64{4 << 10, 1 << 20, 64 << 20}

// onlyWriter hides io.Discard's ReadFrom.
type onlyWriter struct{ io.Writer }

// BenchmarkSeal reads with a buffer of 64 KiB, the way an HTTP request body is read.
func BenchmarkSeal(b *testing.B) {
	d := newTestDEK(b)
	buf := make([]byte, 64<<10)
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			data := make([]byte, size)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				s := d.SealObject(size, bytes.NewReader(data), nil)
				for {
					if _, err := s.Read(buf); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				s.Close()
			}
		})
	}
}

// BenchmarkOpen uses WriteTo, the way an HTTP response is written.
func BenchmarkOpen(b *testing.B) {
	d := newTestDEK(b)
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			stored := readAll(b, d.SealObject(size, bytes.NewReader(make([]byte, size)), nil))
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				o := d.OpenObject(KindSingle, SingleLayout(size), int64(len(stored)), nil, bytes.NewReader(stored))
				if _, err := o.WriteTo(onlyWriter{io.Discard}); err != nil {
					b.Fatal(err)
				}
				o.Close()
			}
		})
	}
}

// BenchmarkPlainSize measures the cost of one line of a listing.
func BenchmarkPlainSize(b *testing.B) {
	stored := StoredSize(3<<30 + 12345)
	for b.Loop() {
		PlainSize(stored)
	}
}
