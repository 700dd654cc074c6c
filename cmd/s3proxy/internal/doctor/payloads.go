package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3name"
	"github.com/s3proxy/s3proxy/proxy/upstream"
)

// trailers looks whether the store takes unsigned chunks with a checksum behind them, and
// compares it.
func (b *Bucket) trailers(ctx context.Context) Finding {
	f, client := b.payload(ctx, upstream.PayloadChecked, "chunks with a checksum behind them")
	if client == nil {
		return f
	}
	body := content(150_000)
	wrong := &upstream.Checksum{Header: "X-Amz-Checksum-Crc32c", Hash: wrongHash{crc32.New(crc32.MakeTable(crc32.Castagnoli))}}
	resp, err := client.Do(ctx, &upstream.Request{Method: http.MethodPut, Bucket: b.Name, Key: b.key("wrong-checksum"), Body: bytes.NewReader(body), Length: int64(len(body)), Checksum: wrong})
	if err == nil {
		resp.Body.Close()
		return warning("protect the way to the store by TLS: s3proxy finds out when an object is read that it was damaged, and not when it is written", "it takes a body whose checksum is wrong")
	}
	return well("it takes them, and refuses a wrong one")
}

// wrongHash is a hash whose sum is that of other bytes.
type wrongHash struct{ hash.Hash }

func (w wrongHash) Sum(b []byte) []byte {
	sum := w.Hash.Sum(b)
	sum[len(sum)-1] ^= 1
	return sum
}

func (b *Bucket) signedChunks(ctx context.Context) Finding {
	f, _ := b.payload(ctx, upstream.PayloadSigned, "chunks that are signed")
	return f
}

func (b *Bucket) unsignedPayload(ctx context.Context) Finding {
	f, _ := b.payload(ctx, upstream.PayloadUnsigned, "bodies that are not signed")
	return f
}

// payload writes and reads an object in one of the ways to send bodies. It gives a client that
// sends them so, nil if the store does not take them.
func (b *Bucket) payload(ctx context.Context, how upstream.Payload, what string) (f Finding, takes *upstream.Client) {
	client := b.Store
	if b.With == nil && how != b.Payload {
		return skipped("this store is spoken to in one way"), nil
	}
	if b.With != nil {
		var err error
		if client, err = b.With(ctx, how); err != nil {
			return failed(b.do(ctx, err), "%s", oneLine(err)), nil
		}
	}
	key, body := b.key("payload-"+string(how)), content(150_000)
	err := put(ctx, client, b.Name, key, body, nil)
	if err == nil {
		var got []byte
		if got, err = get(ctx, client, b.Name, key, nil); err == nil && !bytes.Equal(got, body) {
			err = fmt.Errorf("what it keeps is not what was sent (%d bytes of %d)", len(got), len(body))
		}
	}
	// With checked, what is in memory goes up unsigned, with a checksum in a header.
	needed := how == b.Payload || how == upstream.PayloadUnsigned && b.Payload == upstream.PayloadChecked
	switch {
	case err == nil:
		return well("it takes %s", what), client
	case needed:
		return failed("set upstream-payload to a way that the store takes: checked, signed or unsigned", "it does not take %s, and upstream-payload is %s: %s", what, b.Payload, oneLine(err)), nil
	}
	return well("it does not take %s, which upstream-payload does not ask for: %s", what, oneLine(err)), nil
}

// settleCut is how long a store may take to notice that a connection was cut.
const settleCut = time.Second

// cutBody looks what becomes of an upload that is cut in the middle.
func (b *Bucket) cutBody(ctx context.Context) Finding {
	kept, err := b.keepsCut(ctx, b.Store, "cut")
	switch {
	case err != nil:
		return skipped("it could not be found out: %s", oneLine(err))
	case kept && b.Payload == upstream.PayloadUnsigned:
		return well("it keeps the beginning of a body that was cut: with upstream-payload unsigned s3proxy sends such in parts, which never become an object")
	case kept:
		return failed("set upstream-payload to unsigned: then uploads are sent in parts, which never become an object when they are cut", "it keeps the beginning of a body that was cut, in place of the object")
	case b.With == nil || b.Payload == upstream.PayloadUnsigned:
		return well("a body that was cut becomes no object")
	}
	bare, err := b.With(ctx, upstream.PayloadUnsigned)
	if err == nil {
		if kept, err = b.keepsCut(ctx, bare, "cut-bare"); err == nil && kept {
			return well("a body that was cut becomes no object; a bare one would, and s3proxy sends none")
		}
	}
	return well("a body that was cut becomes no object")
}

var errCut = errors.New("cut by the doctor")

// keepsCut tells whether there is an object after half a body.
func (b *Bucket) keepsCut(ctx context.Context, client *upstream.Client, name string) (bool, error) {
	const size = 1 << 20
	key := b.key(name)
	body := io.MultiReader(bytes.NewReader(content(size/2)), failing{})
	resp, err := client.Do(ctx, &upstream.Request{Method: http.MethodPut, Bucket: b.Name, Key: key, Body: body, Length: size})
	if err == nil {
		resp.Body.Close()
		return true, nil
	}
	if err := upstream.Wait(ctx, settleCut); err != nil {
		return false, err
	}
	return exists(ctx, client, b.Name, key)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

func exists(ctx context.Context, at *upstream.Client, bucket s3name.Bucket, key s3name.Key) (bool, error) {
	resp, err := at.Do(ctx, &upstream.Request{Method: http.MethodHead, Bucket: bucket, Key: key})
	switch {
	case err == nil:
		resp.Body.Close()
		return true, nil
	case upstream.IsNotFound(err):
		return false, nil
	}
	return false, err
}
