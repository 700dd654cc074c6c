package kms

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// floorRecord is a floor as stored: JSON with exactly these fields in this order.
type floorRecord struct {
	Format   int          `json:"format"`
	State    string       `json:"state"`
	Refused  []string     `json:"refused"` // KEKs that may wrap no window under this floor
	Floor    sealedFloor  `json:"floor"`
	Previous *sealedFloor `json:"previous,omitempty"` // while it is open; absent if there was none
}

type sealedFloor struct {
	ID      string `json:"id"`
	KEK     string `json:"kek"`
	Wrapped []byte `json:"wrapped"`
}

// keks returns the KEKs that wrap the record.
func (r *floorRecord) keks() []string {
	keks := []string{r.Floor.KEK}
	if r.Previous != nil && r.Previous.KEK != r.Floor.KEK {
		keks = append(keks, r.Previous.KEK)
	}
	return keks
}

// floorContext is what a floor's secret is bound to: everything that its record says.
func floorContext(bucket string, r *floorRecord) Context {
	previous := noPrevious
	if r.Previous != nil {
		previous = r.Previous.ID
	}
	refused := sha256.Sum256([]byte(strings.Join(r.Refused, "\n")))
	return Context{"bucket": bucket, "floor": r.Floor.ID, "state": r.State, "previous": previous, "refused": hex.EncodeToString(refused[:])}
}

// previousContext is the context of the previous floor in the record of an open one.
func previousContext(bucket, id, under string) Context {
	return Context{"bucket": bucket, "floor": id, "state": "previous", "under": under}
}

func encodeFloor(r *floorRecord) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a floor: %w", err)
	}
	return body, nil
}

// parseFloor accepts only what encodeFloor writes, byte for byte.
func parseFloor(body []byte) (*floorRecord, error) {
	var r floorRecord
	if err := json.Unmarshal(body, &r); err != nil || r.Format != recordFormat {
		return nil, fmt.Errorf("%w: the bucket's floor is not in format %d", ErrInvalid, recordFormat)
	}
	again, err := encodeFloor(&r)
	if err != nil {
		return nil, err
	}
	if len(r.Refused) > maxRefused {
		return nil, fmt.Errorf("%w: the bucket's floor refuses more than %d keys", ErrInvalid, maxRefused)
	}
	if !bytes.Equal(again, body) || r.State != floorOpen && r.State != floorClosed || r.State == floorClosed && r.Previous != nil || len(r.Floor.ID) != 32 {
		return nil, fmt.Errorf("%w: the bucket's floor is not in its one encoding", ErrInvalid)
	}
	for _, s := range []*sealedFloor{&r.Floor, r.Previous} {
		if s == nil {
			continue
		}
		if err := checkWrapped(Wrapped{KEK: s.KEK, Blob: s.Wrapped}); err != nil {
			return nil, fmt.Errorf("%w: the bucket's floor: %v", ErrInvalid, err)
		}
	}
	return &r, nil
}
