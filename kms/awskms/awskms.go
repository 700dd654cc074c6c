package awskms

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/s3proxy/s3proxy/kms"
)

// resolveEvery bounds how often a name is looked up because a blob is of another key.
const resolveEvery = time.Second

var (
	_ kms.Key       = (*Key)(nil)
	_ kms.Rewrapper = (*Key)(nil)
	_ kms.Namer     = (*Key)(nil)
)

// URI implements [kms.Key].
func (k *Key) URI() string { return identity }

// Wrap implements [kms.Key].
func (k *Key) Wrap(ctx context.Context, plaintext []byte, c kms.Context) (kms.Wrapped, error) {
	out, err := k.client.Encrypt(ctx, &awskms.EncryptInput{KeyId: &k.name, Plaintext: plaintext, EncryptionContext: c})
	if err != nil {
		return kms.Wrapped{}, k.classify(ctx, "Encrypt", err, k.name)
	}
	return k.wrapped(out.KeyId, out.CiphertextBlob)
}

// wrapped makes a kms.Wrapped of AWS's answer.
func (k *Key) wrapped(id *string, blob []byte) (kms.Wrapped, error) {
	made := aws.ToString(id)
	if _, err := parseKeyARN(made); err != nil || len(blob) == 0 {
		return kms.Wrapped{}, fmt.Errorf("%w: %s: the answer lacks the ARN of a key or a blob", kms.ErrUnavailable, k.name)
	}
	k.means(made)
	return kms.Wrapped{KEK: identity + "#" + made, Blob: blob}, nil
}

// Unwrap implements [kms.Key].
func (k *Key) Unwrap(ctx context.Context, w kms.Wrapped, c kms.Context) ([]byte, error) {
	id, err := k.maker(ctx, w.KEK)
	if err != nil {
		return nil, err
	}
	out, err := k.client.Decrypt(ctx, &awskms.DecryptInput{KeyId: &id, CiphertextBlob: w.Blob, EncryptionContext: c})
	if err != nil {
		return nil, k.classify(ctx, "Decrypt", err, id)
	}
	if aws.ToString(out.KeyId) != id {
		clear(out.Plaintext)
		return nil, fmt.Errorf("%w: %s was asked to open it, but %s did", kms.ErrInvalid, id, aws.ToString(out.KeyId))
	}
	return out.Plaintext, nil
}

// Current implements [kms.Key]. It asks which key the name means now or, if that is not allowed,
// has it encrypt something that is not secret.
func (k *Key) Current(ctx context.Context) (string, error) {
	own, err := k.resolve(ctx)
	if err != nil {
		return "", err
	}
	return identity + "#" + own, nil
}

// Named implements [kms.Namer]. A version is a key, in whatever state, given by its ARN, its id
// or an alias.
func (k *Key) Named(ctx context.Context, version string) (string, error) {
	if version == "" {
		version = k.name
	}
	if _, err := parseKeyARN(version); err == nil {
		return identity + "#" + version, nil
	}
	m, err := k.describe(ctx, version)
	if err != nil {
		return "", k.classify(ctx, "DescribeKey", err, version)
	}
	return identity + "#" + *m.Arn, nil
}

func (k *Key) resolve(ctx context.Context) (string, error) {
	m, err := k.describe(ctx, k.name)
	if isAccessDenied(err) {
		w, err := k.Wrap(ctx, make([]byte, 32), kms.Context{"purpose": "version"})
		return strings.TrimPrefix(w.KEK, identity+"#"), err
	}
	if err != nil {
		return "", k.classify(ctx, "DescribeKey", err, k.name)
	}
	own := *m.Arn
	// Both may be absent: in AWS's answer only KeyId is required.
	if m.KeySpec != types.KeySpecSymmetricDefault && m.KeySpec != "" || m.KeyUsage != types.KeyUsageTypeEncryptDecrypt && m.KeyUsage != "" {
		return "", fmt.Errorf("%w: %s is for %s, of spec %s: use a key of spec SYMMETRIC_DEFAULT for ENCRYPT_DECRYPT, which can bind a context", kms.ErrDenied, own, m.KeyUsage, m.KeySpec)
	}
	// A key stays usable while its regions are updated.
	if m.KeyState != types.KeyStateEnabled && m.KeyState != types.KeyStateUpdating {
		return "", fmt.Errorf("%w: %s is %s", stateClass(m.KeyState), own, stateText(m.KeyState))
	}
	k.means(own)
	return own, nil
}

// means remembers which key the name was seen to mean.
func (k *Key) means(own string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.own, k.seen = own, time.Now()
}

// ownARN gives the key that the name was last seen to mean, and whether it may be looked up again.
func (k *Key) ownARN(ctx context.Context) (own string, again bool, err error) {
	k.mu.Lock()
	own, again = k.own, k.isAlias() && time.Since(k.seen) >= resolveEvery
	k.mu.Unlock()
	if own != "" {
		return own, again, nil
	}
	own, err = k.resolve(ctx)
	return own, false, err
}

// maker gives the key that AWS must open a blob with: the one in the KEK's name, if it is this one.
func (k *Key) maker(ctx context.Context, kek string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	named, ours := strings.CutPrefix(kek, identity+"#")
	if _, err := parseKeyARN(named); !ours || err != nil {
		return "", fmt.Errorf("%w: %q does not name a key of AWS KMS", kms.ErrInvalid, kek)
	}
	own, again, err := k.ownARN(ctx)
	if err != nil {
		return "", err
	}
	if !sameKey(own, named) && again { // the alias may have moved
		if own, err = k.resolve(ctx); err != nil {
			return "", err
		}
	}
	if !sameKey(own, named) {
		return "", fmt.Errorf("%w: %s wrapped it, which %s must not open: name that key too (--kms-read)", kms.ErrInvalid, named, k.name)
	}
	return own, nil
}

// sameKey tells whether two ARNs name one key. The replicas of a multi-region key in several
// regions are one key.
// https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
func sameKey(a, b string) bool {
	if a == b {
		return true
	}
	one, errOne := parseKeyARN(a)
	other, errOther := parseKeyARN(b)
	return errOne == nil && errOther == nil && one.Partition == other.Partition && one.AccountID == other.AccountID &&
		one.Resource == other.Resource && strings.HasPrefix(one.Resource, "key/mrk-")
}

// isAlias tells whether the configured name is an alias, which may come to mean another key.
func (k *Key) isAlias() bool {
	if a, err := arn.Parse(k.name); err == nil {
		return strings.HasPrefix(a.Resource, "alias/")
	}
	return strings.HasPrefix(k.name, "alias/")
}

// Rewrap implements [kms.Rewrapper] by ReEncrypt.
func (k *Key) Rewrap(ctx context.Context, opener kms.Key, w kms.Wrapped, from, to kms.Context) (kms.Wrapped, error) {
	made, ok := opener.(*Key)
	if !ok {
		return kms.Wrapped{}, fmt.Errorf("%w: %s is not a key of AWS KMS", kms.ErrInvalid, opener.URI())
	}
	source, err := made.maker(ctx, w.KEK)
	if err != nil {
		return kms.Wrapped{}, err
	}
	out, err := k.client.ReEncrypt(ctx, &awskms.ReEncryptInput{
		SourceKeyId: &source, CiphertextBlob: w.Blob, SourceEncryptionContext: from,
		DestinationKeyId: &k.name, DestinationEncryptionContext: to,
	})
	if err != nil {
		return kms.Wrapped{}, k.classify(ctx, "ReEncrypt", err, source, k.name)
	}
	if aws.ToString(out.SourceKeyId) != source {
		return kms.Wrapped{}, fmt.Errorf("%w: %s was asked to open it, but %s did", kms.ErrInvalid, source, aws.ToString(out.SourceKeyId))
	}
	return k.wrapped(out.KeyId, out.CiphertextBlob)
}

// Check implements [kms.Key]: it wraps and unwraps a key that serves nothing else.
func (k *Key) Check(ctx context.Context) error {
	if _, err := k.resolve(ctx); err != nil {
		return err
	}
	probe := make([]byte, 32)
	_, _ = rand.Read(probe) // never fails
	c := kms.Context{"purpose": "check"}
	w, err := k.Wrap(ctx, bytes.Clone(probe), c)
	if err != nil {
		return err
	}
	got, err := k.Unwrap(ctx, w, c)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(probe, got) != 1 {
		return fmt.Errorf("%w: %s returned another key than it wrapped", kms.ErrInvalid, k.name)
	}
	return nil
}
