package commands

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/envelope"
	"github.com/s3proxy/s3proxy/test/lab"
)

// decryptedVectors is the number of vectors that are whole objects or ranges; decrypt.py does not
// read the others (part records, upload states).
const decryptedVectors = 192

// needPython returns the python3 that runs decrypt.py.
func needPython(t *testing.T) string {
	t.Helper()
	python := lab.NeedCryptography(t)
	// Go caches test results by the files that the test itself has opened: without this read, a
	// change in the program would still show the old result.
	if _, err := os.ReadFile("../decrypt.py"); err != nil {
		t.Fatal(err)
	}
	return python
}

// decrypt runs decrypt.py over a stored object.
func decrypt(t *testing.T, meta map[string]string, object string, args ...string) (plaintext []byte, refused error) {
	t.Helper()
	python := needPython(t)
	b, err := json.Marshal(meta)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	metaFile, outFile, errFile := filepath.Join(dir, "meta.json"), filepath.Join(dir, "out"), filepath.Join(dir, "err")
	if err := os.WriteFile(metaFile, b, 0o600); err != nil {
		t.Fatal(err)
	}
	status, err := decrypters.run(python, append([]string{outFile, errFile, "--meta", metaFile, object}, args...))
	if err != nil {
		t.Fatalf("running decrypt.py: %v", err)
	}
	out, err := os.ReadFile(outFile)
	if err != nil {
		t.Fatal(err)
	}
	if status != "0" {
		diagnosis, err := os.ReadFile(errFile)
		// A crash does not count as a refusal.
		if err != nil || !strings.HasPrefix(string(diagnosis), "decrypt.py: refused: ") {
			t.Fatalf("decrypt.py failed: exit code %s, %v\n%s", status, err, diagnosis)
		}
		return out, errors.New(strings.TrimSpace(string(diagnosis)))
	}
	return out, nil
}

// decrypters is the process that runs decrypt.py for all tests; it ends with the test process.
var decrypters decryptProcess

type decryptProcess struct {
	sync.Mutex
	lists   io.Writer
	answers *bufio.Reader
}

func (d *decryptProcess) run(python string, args []string) (status string, err error) {
	d.Lock()
	defer d.Unlock()
	if d.lists == nil {
		cmd := exec.Command(python, "decrypt_each.py")
		cmd.Stderr = os.Stderr
		lists, err := cmd.StdinPipe()
		if err != nil {
			return "", err
		}
		answers, err := cmd.StdoutPipe()
		if err != nil {
			return "", err
		}
		if err := cmd.Start(); err != nil {
			return "", err
		}
		d.lists, d.answers = lists, bufio.NewReader(answers)
	}
	if err := json.NewEncoder(d.lists).Encode(args); err != nil {
		return "", err
	}
	status, err = d.answers.ReadString('\n')
	return strings.TrimSpace(status), err
}

// decryptVector is the part of a vector file that decrypt.py needs.
type decryptVector struct {
	name   string
	fields map[string]string
	meta   map[string]string
	object []byte // with zeros between the pieces, if the vector has only pieces
}

func loadDecryptVectors(t *testing.T) (out []decryptVector) {
	t.Helper()
	files, err := filepath.Glob("../../envelope/testdata/vectors/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		header, body, _ := bytes.Cut(raw, []byte("\n\n"))
		v := decryptVector{name: filepath.Base(file), fields: map[string]string{}, meta: map[string]string{}, object: body}
		var chunks [][2]int
		for line := range strings.Lines(string(header)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			first, second, _ := strings.Cut(value, " ")
			switch name {
			case "meta":
				if v.meta[first], err = strconv.Unquote(second); err != nil {
					t.Fatal(err)
				}
			case "chunk":
				offset, _ := strconv.Atoi(first)
				length, _ := strconv.Atoi(second)
				chunks = append(chunks, [2]int{offset, length})
			default:
				v.fields[name] = value
			}
		}
		if chunks != nil {
			stored, _ := strconv.Atoi(v.fields["stored"])
			v.object = make([]byte, stored)
			for _, c := range chunks {
				body = body[copy(v.object[c[0]:c[0]+c[1]], body):]
			}
		}
		if v.fields["what"] == "object" || v.fields["what"] == "range" {
			out = append(out, v)
		}
	}
	if len(out) != decryptedVectors {
		t.Fatalf("%d vectors, expected %d", len(out), decryptedVectors)
	}
	return out
}

func TestDecryptPyOpensTheGoodVectorsAndRefusesTheBad(t *testing.T) {
	needPython(t)
	for _, v := range loadDecryptVectors(t) {
		t.Run(v.name, func(t *testing.T) { v.check(t) })
	}
}

func (v decryptVector) check(t *testing.T) {
	object := filepath.Join(t.TempDir(), "object")
	if err := os.WriteFile(object, v.object, 0o600); err != nil {
		t.Fatal(err)
	}
	var extra []string
	if v.fields["what"] == "range" {
		offset, length, _ := strings.Cut(v.fields["range"], " ")
		extra = []string{"--range", offset, length}
	}
	if floor := v.fields["floor"]; floor != "" {
		extra = append(extra, "--floor", floor)
	}
	kek := append([]string{"--kek", v.fields["kek"], "--bucket", v.fields["bucket"], "--name", v.fields["key"]}, extra...)
	if upload := v.fields["upload"]; upload != "" {
		kek = append(kek, "--upload", upload)
	}
	got, err := decrypt(t, v.meta, object, kek...)
	if v.fields["expect"] != "ok" {
		if err == nil {
			t.Errorf("it opened; expected %s", v.fields["expect"])
		}
		return
	}
	v.compare(t, got, err)
	got, err = decrypt(t, v.meta, object, append([]string{"--key", v.fields["dek"]}, extra...)...)
	v.compare(t, got, err)
}

func (v decryptVector) compare(t *testing.T, got []byte, err error) {
	t.Helper()
	sum := sha256.Sum256(got)
	if want := v.fields["released"]; err != nil || fmt.Sprintf("%d %s", len(got), hex.EncodeToString(sum[:])) != want {
		t.Errorf("got %d bytes, %v; expected %s", len(got), err, want)
	}
}

// The vectors cannot hold a whole object of several parts, each of which but the last has at least
// 5 MiB. Therefore the test seals one.
func TestDecryptPyOpensAMultipartObjectThatWasSealedNow(t *testing.T) {
	needPython(t)
	dek, err := envelope.NewDEK()
	if err != nil {
		t.Fatal(err)
	}
	for _, last := range []int{0, 1, 70_000} {
		plaintext := bytes.Repeat([]byte("not the same everywhere "), (2*envelope.MinPartSize+100+last)/24+1)[:2*envelope.MinPartSize+100+last]
		trailer := &envelope.Trailer{Kind: envelope.KindMultipart, Size: int64(len(plaintext)), UploadHash: envelope.UploadHash("u"), Parts: []envelope.Part{
			{Number: 1, Size: envelope.MinPartSize, ID: envelope.NewPartID(), MD5: make([]byte, 16)},
			{Number: 4, Size: envelope.MinPartSize + 100, ID: envelope.NewPartID(), Checksum: envelope.Checksum{Algorithm: envelope.CRC32, Value: []byte("four")}},
			{Number: 10000, Size: int64(last), ID: envelope.NewPartID()},
		}}
		var stored bytes.Buffer
		rest := bytes.NewReader(plaintext)
		for _, p := range trailer.Parts {
			if _, err := dek.SealPart(trailer.Kind, p, io.LimitReader(rest, p.Size)).WriteTo(&stored); err != nil {
				t.Fatal(err)
			}
		}
		end, err := dek.SealTrailer(trailer)
		if err != nil {
			t.Fatal(err)
		}
		stored.Write(end)
		object := filepath.Join(t.TempDir(), "object")
		if err := os.WriteFile(object, stored.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := decrypt(t, metadataFor(t, dek), object, "--key", hexKey(t, dek))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("last part of %d: %d bytes of %d, %v", last, len(got), len(plaintext), err)
		}
	}
}

func metadataFor(t *testing.T, dek *envelope.DEK) map[string]string {
	t.Helper()
	facts, err := dek.SealFacts(envelope.KindMultipart, 0, envelope.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	m := envelope.Metadata{Kind: envelope.KindMultipart, KEK: "none:", DEK: []byte("given"), Commitment: dek.Commitment(), Facts: facts}
	fields, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func hexKey(t *testing.T, dek *envelope.DEK) (key string) {
	t.Helper()
	if err := dek.WithBytes(func(raw []byte) error { key = hex.EncodeToString(raw); return nil }); err != nil {
		t.Fatal(err)
	}
	return key
}
