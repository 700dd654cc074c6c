// Package fakekms is a fake of AWS KMS for tests: an HTTP server that answers Encrypt,
// Decrypt, ReEncrypt and DescribeKey as AWS's documentation says, with keys, aliases,
// accounts, regions and states that live in memory. It takes only requests with a valid
// Signature Version 4. It proves nothing about AWS.
// https://docs.aws.amazon.com/kms/latest/APIReference/
package fakekms

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// The identities that the server knows, of one account and secret. The stranger is known and
// may do nothing.
const (
	AccessKeyID     = "AKIDFAKEKMS"
	StrangerID      = "AKIDSTRANGER"
	SecretAccessKey = "fake-secret-of-kms/0a9b8c7d"
	Account         = "111122223333"
	Region          = "eu-west-1"
)

// States of a key.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
const (
	Enabled                = "Enabled"
	Disabled               = "Disabled"
	PendingDeletion        = "PendingDeletion"
	PendingReplicaDeletion = "PendingReplicaDeletion"
	PendingImport          = "PendingImport"
	Unavailable            = "Unavailable"
	Creating               = "Creating"
	Updating               = "Updating"
)

// Server is the fake.
type Server struct {
	*httptest.Server
	mu       sync.Mutex
	keys     map[string]*key     // by ARN
	aliases  map[string]string   // ARN of the alias -> ARN of the key
	failures map[string]*failure // by operation; "" is all
	denied   map[string]bool     // operation, or ARN
	calls    map[string]int
	requests []Request
}

type key struct {
	material [32]byte
	state    string
	spec     string
}

// Request is one that the server took.
type Request struct {
	Method, Path, Target, ContentType string
	Body                              []byte
}

// New starts a server; the caller closes it.
func New() *Server {
	s := &Server{keys: map[string]*key{}, aliases: map[string]string{}, failures: map[string]*failure{}, denied: map[string]bool{}, calls: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// Environment are the variables that have AWS's SDKs find the server.
func (s *Server) Environment() map[string]string {
	return map[string]string{
		"AWS_ACCESS_KEY_ID": AccessKeyID, "AWS_SECRET_ACCESS_KEY": SecretAccessKey, "AWS_REGION": Region,
		"AWS_ENDPOINT_URL_KMS": s.URL, "AWS_CA_BUNDLE": "", "AWS_PROFILE": "", "AWS_SESSION_TOKEN": "",
	}
}

// CreateKey makes a key and gives its ARN. An empty region or account is the server's own.
func (s *Server) CreateKey(account, region string) string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	h := hex.EncodeToString(id[:])
	return s.create(account, region, fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:]), nil)
}

// CreateMultiRegionKey makes one key in two regions and gives both ARNs.
func (s *Server) CreateMultiRegionKey(region, replica string) (string, string) {
	var id [16]byte
	_, _ = rand.Read(id[:])
	first := s.create("", region, "mrk-"+hex.EncodeToString(id[:]), nil)
	s.mu.Lock()
	material := s.keys[first].material
	s.mu.Unlock()
	return first, s.create("", replica, "mrk-"+hex.EncodeToString(id[:]), &material)
}

func (s *Server) create(account, region, id string, material *[32]byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if account == "" {
		account = Account
	}
	if region == "" {
		region = Region
	}
	k := &key{state: Enabled, spec: "SYMMETRIC_DEFAULT"}
	if material != nil {
		k.material = *material
	} else {
		_, _ = rand.Read(k.material[:])
	}
	name := fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", region, account, id)
	s.keys[name] = k
	return name
}

// Alias has an alias of the server's account, such as "alias/photos", mean a key.
func (s *Server) Alias(name, keyARN string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[fmt.Sprintf("arn:aws:kms:%s:%s:%s", Region, Account, name)] = keyARN
}

// SetState changes a key's state; "" deletes it.
func (s *Server) SetState(keyARN, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == "" {
		delete(s.keys, keyARN)
		return
	}
	s.keys[keyARN].state = state
}

// SetSpec makes it a key of another kind.
func (s *Server) SetSpec(keyARN, spec string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[keyARN].spec = spec
}

// Calls tells how often an operation was asked for.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// Requests are all that were taken.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

type input struct {
	KeyId, SourceKeyId, DestinationKeyId                                           string
	Plaintext, CiphertextBlob                                                      []byte
	EncryptionContext, SourceEncryptionContext, DestinationEncryptionContext       map[string]string
	EncryptionAlgorithm, SourceEncryptionAlgorithm, DestinationEncryptionAlgorithm string
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := s.answer(r)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "7d1a0e9e-0000-4000-8000-fa4e00000000")
	if err != nil {
		refused, ok := err.(*refusal)
		if !ok {
			refused = &refusal{"KMSInternalException", err.Error()}
		}
		w.WriteHeader(refused.status())
		answer = map[string]string{"__type": refused.code, "message": refused.message}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *Server) answer(r *http.Request) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	region, identity, err := verify(r, body)
	if err != nil {
		return nil, err
	}
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if !ok || r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return nil, refuse("UnknownOperationException", "")
	}
	var in input
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, refuse("SerializationException", "%v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[operation]++
	s.requests = append(s.requests, Request{r.Method, r.URL.Path, r.Header.Get("X-Amz-Target"), r.Header.Get("Content-Type"), body})
	if err := s.failing(operation); err != nil {
		return nil, err
	}
	if s.denied[operation] || identity == StrangerID {
		return nil, refuse("AccessDeniedException", "User: arn:aws:iam::%s:user/proxy is not authorized to perform: kms:%s", Account, operation)
	}
	switch operation {
	case "DescribeKey":
		name, k, err := s.find(region, in.KeyId)
		if err != nil {
			return nil, err
		}
		return map[string]any{"KeyMetadata": map[string]any{
			"AWSAccountId": strings.Split(name, ":")[4], "Arn": name, "KeyId": name[strings.LastIndex(name, "/")+1:],
			"Enabled": k.state == Enabled, "KeyState": k.state, "KeySpec": k.spec, "KeyUsage": "ENCRYPT_DECRYPT", "KeyManager": "CUSTOMER", "Origin": "AWS_KMS",
			"CreationDate": 1.4e9, "EncryptionAlgorithms": []string{"SYMMETRIC_DEFAULT"},
		}}, nil
	case "Encrypt":
		name, blob, err := s.seal(region, in.KeyId, in.Plaintext, in.EncryptionContext)
		return map[string]any{"CiphertextBlob": blob, "KeyId": name, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, err
	case "Decrypt":
		name, plaintext, err := s.open(region, in.KeyId, in.CiphertextBlob, in.EncryptionContext)
		return map[string]any{"Plaintext": plaintext, "KeyId": name, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, err
	case "ReEncrypt":
		source, plaintext, err := s.open(region, in.SourceKeyId, in.CiphertextBlob, in.SourceEncryptionContext)
		if err != nil {
			return nil, err
		}
		name, blob, err := s.seal(region, in.DestinationKeyId, plaintext, in.DestinationEncryptionContext)
		return map[string]any{
			"CiphertextBlob": blob, "KeyId": name, "SourceKeyId": source,
			"SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT", "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
		}, err
	}
	return nil, refuse("UnknownOperationException", "")
}

// find gives a key by id, ARN, alias or the ARN of an alias. Keys of other accounts are
// found by ARN alone, all only in the region of the request.
func (s *Server) find(region, id string) (string, *key, error) {
	name := id
	switch {
	case strings.HasPrefix(id, "arn:"):
	case strings.HasPrefix(id, "alias/"):
		name = fmt.Sprintf("arn:aws:kms:%s:%s:%s", region, Account, id)
	default:
		name = fmt.Sprintf("arn:aws:kms:%s:%s:key/%s", region, Account, id)
	}
	if strings.Contains(name, ":alias/") {
		to, ok := s.aliases[name]
		if !ok {
			return "", nil, refuse("NotFoundException", "Alias %s is not found.", name)
		}
		name = to
	}
	k, ok := s.keys[name]
	if !ok || strings.Split(name, ":")[3] != region {
		return "", nil, refuse("NotFoundException", "Key '%s' does not exist", name)
	}
	if s.denied[name] {
		return "", nil, refuse("AccessDeniedException", "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.")
	}
	return name, k, nil
}

// blobMagic begins this server's blobs; the id of the material and an AES-GCM box follow.
const blobMagic = "\x01fakekms"

func (k *key) id() []byte { sum := sha256.Sum256(k.material[:]); return sum[:16] }

func (k *key) aead() cipher.AEAD {
	block, _ := aes.NewCipher(k.material[:])
	box, _ := cipher.NewGCMWithRandomNonce(block)
	return box
}

func (s *Server) seal(region, id string, plaintext []byte, context map[string]string) (string, []byte, error) {
	name, k, err := s.find(region, id)
	if err != nil {
		return "", nil, err
	}
	if err := k.usable(name); err != nil {
		return "", nil, err
	}
	if len(plaintext) == 0 || len(plaintext) > 4096 {
		return "", nil, refuse("ValidationException", "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length between 1 and 4096")
	}
	head := append([]byte(blobMagic), k.id()...)
	return name, k.aead().Seal(head, nil, plaintext, encode(context)), nil
}

func (s *Server) open(region, id string, blob []byte, context map[string]string) (string, []byte, error) {
	if len(blob) == 0 {
		return "", nil, refuse("ValidationException", "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	name, k, err := s.find(region, id)
	if err != nil {
		return "", nil, err
	}
	box, ok := bytes.CutPrefix(blob, []byte(blobMagic))
	if !ok || len(box) < 16 || !s.known(box[:16]) {
		return "", nil, refuse("InvalidCiphertextException", "")
	}
	if !bytes.Equal(box[:16], k.id()) {
		return "", nil, refuse("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	if err := k.usable(name); err != nil {
		return "", nil, err
	}
	plaintext, err := k.aead().Open(nil, nil, box[16:], encode(context))
	if err != nil {
		return "", nil, refuse("InvalidCiphertextException", "")
	}
	return name, plaintext, nil
}

func (s *Server) known(id []byte) bool {
	for _, k := range s.keys {
		if bytes.Equal(k.id(), id) {
			return true
		}
	}
	return false
}

// encode is one encoding for each encryption context; names and values are case-sensitive.
func encode(context map[string]string) (out []byte) {
	for _, name := range slices.Sorted(maps.Keys(context)) {
		for _, text := range []string{name, context[name]} {
			out = binary.BigEndian.AppendUint32(out, uint32(len(text)))
			out = append(out, text...)
		}
	}
	return out
}

// verify checks the signature with AWS's own signer and gives the region that it is for, and
// whose it is.
func verify(r *http.Request, body []byte) (region, identity string, err error) {
	fields, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return "", "", refuse("MissingAuthenticationToken", "Missing Authentication Token")
	}
	parts := map[string]string{}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	when, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || len(scope) != 5 || scope[3] != "kms" || scope[4] != "aws4_request" || scope[1] != when.Format("20060102") {
		return "", "", refuse("IncompleteSignature", "")
	}
	if scope[0] != AccessKeyID && scope[0] != StrangerID {
		return "", "", refuse("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if age := time.Since(when); age > 5*time.Minute || age < -5*time.Minute {
		return "", "", refuse("RequestExpired", "")
	}
	signed := strings.Split(parts["SignedHeaders"], ";")
	again := r.Clone(context.Background())
	again.Header = http.Header{}
	for _, name := range signed {
		if name != "host" && name != "content-length" {
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	if !slices.Contains(signed, "content-length") { // not every client signs it
		again.ContentLength = 0
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-target"} {
		if !slices.Contains(signed, must) {
			return "", "", refuse("IncompleteSignature", "%s is not signed", must)
		}
	}
	again.URL.Scheme, again.URL.Host = "http", r.Host
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: scope[0], SecretAccessKey: SecretAccessKey}, again, hex.EncodeToString(sum[:]), "kms", scope[2], when)
	if err != nil {
		return "", "", err
	}
	if again.Header.Get("Authorization") != r.Header.Get("Authorization") {
		return "", "", refuse("InvalidSignatureException", "The request signature we calculated does not match the signature you provided.")
	}
	return scope[2], scope[0], nil
}
