package legacy

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/s3proxy/s3proxy/envelope"
)

// golden has objects that testdata/make.py there has made.
const golden = "../../test/legacy/testdata"

type made struct {
	File   string
	Key    string `json:"legacy-key"`
	Size   int64
	Header string
}

func goldens(t *testing.T) (all []made) {
	t.Helper()
	for _, list := range []string{"manifest.json", "written.json"} { // the second by the older program itself
		raw, err := os.ReadFile(filepath.Join(golden, list))
		var more []made
		if err == nil {
			err = json.Unmarshal(raw, &more)
		}
		if err != nil || len(more) == 0 {
			t.Fatal(err)
		}
		all = append(all, more...)
	}
	return all
}

func (m made) body(t *testing.T) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(golden, m.File))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func (m made) keys(t *testing.T) *Keys {
	t.Helper()
	k, err := ParseKey(m.Key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func marked(header string) http.Header { return http.Header{HeaderName: {header}} }

// plaintext is that of make.py.
func plaintext(n int64) (all []byte) {
	for i := 0; int64(len(all)) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "legacy %d", i))
		all = append(all, sum[:]...)
	}
	return all[:n]
}

func TestObjectsOfTheDescriptionOpen(t *testing.T) {
	for _, m := range goldens(t) {
		body, want := m.body(t), plaintext(m.Size)
		o, err := m.keys(t).Open(marked(m.Header), int64(len(body)))
		if err != nil {
			t.Fatalf("%s: %v", m.File, err)
		}
		if sum := md5.Sum(want); o.Size != m.Size || !bytes.Equal(o.MD5, sum[:]) {
			t.Errorf("%s: %d bytes, MD5 %x", m.File, o.Size, o.MD5)
		}
		got, err := io.ReadAll(iotest.HalfReader(o.Read(0, o.Size, iotest.DataErrReader(bytes.NewReader(body)))))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", m.File, len(got), err)
		}
		for _, r := range [][2]int64{{0, 1}, {0, 16}, {1, 15}, {15, 2}, {16, 16}, {17, 30}, {o.Size - 1, 1}, {o.Size / 2, o.Size - o.Size/2}, {o.Size - 16, 16}, {1, o.Size - 1}} {
			if r[0] < 0 || r[1] < 1 || r[0]+r[1] > o.Size {
				continue
			}
			at, n := Span(r[0], r[1])
			got, err := io.ReadAll(o.Read(r[0], r[1], bytes.NewReader(body[at:at+n])))
			if err != nil || !bytes.Equal(got, want[r[0]:r[0]+r[1]]) {
				t.Errorf("%s: %d bytes from %d: %v", m.File, r[1], r[0], err)
			}
		}
	}
}

func TestNoHeaderOpensThatIsNotOfItsObject(t *testing.T) {
	all := goldens(t)
	for _, m := range all {
		k, stored := m.keys(t), m.Size+Overhead
		refused := func(what, header string, stored int64) {
			t.Helper()
			if _, err := k.Open(marked(header), stored); !errors.Is(err, ErrHeader) {
				t.Errorf("%s: %s: %v", m.File, what, err)
			}
		}
		for _, lie := range []int64{-1, 0, stored - 1, stored + 1, stored + 16, stored * 2} {
			refused(fmt.Sprintf("of %d stored bytes", lie), m.Header, lie)
		}
		refused("empty", "", stored)
		refused("no hex", "x"+m.Header[1:], stored)
		refused("an IV alone", m.Header[:32], stored)
		refused("longer", m.Header+"00", stored)
		refused("shorter", m.Header[:len(m.Header)-2], stored)
		refused("endless", strings.Repeat(m.Header, 40), stored)
		raw, _ := hex.DecodeString(m.Header)
		for at := range len(raw) { // an MD5 may be another: that is what nothing authenticates
			damaged := slices.Clone(raw)
			damaged[at] ^= 0x80 // no character of a hex digit has this bit
			refused(fmt.Sprintf("a bit flipped at %d", at), hex.EncodeToString(damaged), stored)
		}
		if _, err := k.Open(http.Header{HeaderName: {m.Header, m.Header}}, stored); !errors.Is(err, ErrHeader) {
			t.Errorf("%s: given twice: %v", m.File, err)
		}
		for _, other := range all {
			if other.Size != m.Size || other.Key != m.Key {
				refused("that of "+other.File, other.Header, stored)
			}
		}
	}
}

func TestAWholeObjectComesWithItsMD5OrNotToItsEnd(t *testing.T) {
	for _, m := range goldens(t) {
		body := m.body(t)
		o, err := m.keys(t).Open(marked(m.Header), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		read := func(body []byte) (int, error) {
			got, err := io.ReadAll(o.Read(0, o.Size, bytes.NewReader(body)))
			return len(got), err
		}
		for _, at := range []int{0, 15, 16, len(body) / 2, len(body) - 1} {
			if at >= len(body) || m.Size == 0 {
				continue
			}
			damaged := slices.Clone(body)
			damaged[at] ^= 1
			if n, err := read(damaged); !errors.Is(err, ErrMD5) || int64(n) >= m.Size {
				t.Errorf("%s: a bit flipped at %d: %d bytes, %v", m.File, at, n, err)
			}
			if n, err := read(body[:at]); !errors.Is(err, envelope.ErrTruncated) || int64(n) >= m.Size {
				t.Errorf("%s: cut at %d: %d bytes, %v", m.File, at, n, err)
			}
		}
		if _, err := read(append(slices.Clone(body), 0)); !errors.Is(err, envelope.ErrTooLong) {
			t.Errorf("%s: a byte more: %v", m.File, err)
		}
	}
}

func TestAKeyIsHexOrCharacters(t *testing.T) {
	for text, blocks := range map[string]int{
		strings.Repeat("k", 16): 1, strings.Repeat("k", 24): 1, strings.Repeat("k", 32): 1,
		strings.Repeat("a", 16): 1, strings.Repeat("a", 24): 1, strings.Repeat("a", 32): 2, strings.Repeat("A", 48): 1, strings.Repeat("0", 64): 1,
		"": 0, "k": 0, strings.Repeat("k", 17): 0, strings.Repeat("k", 48): 0, strings.Repeat("k", 64): 0, strings.Repeat("a", 34): 0, strings.Repeat("a", 66): 0,
	} {
		k, err := ParseKey(text)
		switch {
		case blocks == 0 && (err == nil || len(text) > 4 && strings.Contains(err.Error(), text)):
			t.Errorf("%q: %v", text, err)
		case blocks > 0 && (err != nil || len(k.blocks) != blocks):
			t.Errorf("%q: %v", text, err)
		}
	}
}
