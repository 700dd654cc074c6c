package sigv4

import (
	"crypto/sha256"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// keptKeys is how many signing keys are kept: a client needs one for each day and region. An entry
// has about 300 bytes.
const keptKeys = 1024

// longestRegion is the longest name of a region whose key is kept, in bytes: a client may make one up.
const longestRegion = 64

// signingKeys keeps signing keys, each of which takes four HMACs to derive. A key's name has its
// secret in it, and the secret is asked for at each request: no key outlives a client that was
// removed, or a secret that was changed. The zero value is ready for use.
type signingKeys struct {
	mu   sync.Mutex
	keys *simplelru.LRU[keyName, []byte] // nil: nothing is kept yet
}

// keyName is all that a signing key is derived from.
type keyName struct {
	secret       [sha256.Size]byte // its hash
	date, region string
}

// derivedKey is the signing key of one secret for a day and a region.
type derivedKey struct {
	name keyName
	raw  []byte
	kept bool
}

// of gives the signing key of a secret.
func (s *signingKeys) of(secret, date, region string) derivedKey {
	name := keyName{sha256.Sum256([]byte(secret)), date, region}
	if raw, ok := s.get(name); ok {
		return derivedKey{name, raw, true}
	}
	return derivedKey{name, signingKey(secret, date, region), false}
}

func (s *signingKeys) get(name keyName) (raw []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		return nil, false
	}
	return s.keys.Get(name)
}

// keep keeps a key with which a signature was right. Who knows no secret can therefore push none
// of them out.
func (s *signingKeys) keep(key derivedKey) {
	if key.kept || len(key.name.region) > longestRegion {
		return
	}
	key.name.date, key.name.region = strings.Clone(key.name.date), strings.Clone(key.name.region) // of the header that they are in
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys, _ = simplelru.NewLRU[keyName, []byte](keptKeys, nil) // fails only if the size is not positive
	}
	s.keys.Add(key.name, key.raw)
}
