package kms

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const recordFormat = 1

// record is the body of a window record: {"format":1,"kek":"...","wrapped":"..."},
// wrapped in standard base64.
type record struct {
	Format  int    `json:"format"`
	KEK     string `json:"kek"`
	Wrapped []byte `json:"wrapped"`
}

func encodeRecord(w Wrapped) ([]byte, error) {
	body, err := json.Marshal(record{Format: recordFormat, KEK: w.KEK, Wrapped: w.Blob})
	if err != nil {
		return nil, fmt.Errorf("encoding a window record: %w", err)
	}
	return body, nil
}

// parseRecord accepts only what encodeRecord writes, byte for byte. It refuses unknown,
// repeated or differently spelled fields and any white space.
func parseRecord(body []byte) (Wrapped, error) {
	// The format number first: in another format the other fields may have any form.
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(body, &head); err != nil {
		return Wrapped{}, fmt.Errorf("%w: the record is not JSON", ErrInvalid)
	}
	if head.Format != recordFormat {
		return Wrapped{}, fmt.Errorf("%w: unknown record format %d: this s3proxy reads format %d; a newer one may have written it",
			ErrInvalid, head.Format, recordFormat)
	}
	var r record
	if err := json.Unmarshal(body, &r); err != nil {
		return Wrapped{}, fmt.Errorf("%w: the record's fields are not those of format %d", ErrInvalid, recordFormat)
	}
	w := Wrapped{KEK: r.KEK, Blob: r.Wrapped}
	again, err := encodeRecord(w)
	if err != nil {
		return Wrapped{}, err
	}
	if !bytes.Equal(again, body) {
		return Wrapped{}, fmt.Errorf("%w: the record is not in its one encoding", ErrInvalid)
	}
	if err := checkWrapped(w); err != nil {
		return Wrapped{}, fmt.Errorf("%w: the record: %v", ErrInvalid, err)
	}
	return w, nil
}
