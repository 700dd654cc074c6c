package awskms

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Key is a key of AWS KMS. It is safe for concurrent use.
type Key struct {
	client *awskms.Client
	name   string // as configured: an alias, an id, or an ARN

	mu   sync.Mutex
	own  string    // the ARN that name was last seen to mean; "" until then
	seen time.Time // when
}

// describe asks AWS which key a name means; the answer has the ARN of a key. The error is the
// SDK's own.
func (k *Key) describe(ctx context.Context, name string) (*types.KeyMetadata, error) {
	out, err := k.client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &name})
	if err != nil {
		return nil, err
	}
	if out.KeyMetadata == nil {
		return nil, errors.New("the answer has no key")
	}
	if _, err := parseKeyARN(aws.ToString(out.KeyMetadata.Arn)); err != nil {
		return nil, fmt.Errorf("the answer lacks the ARN of a key: %w", err)
	}
	return out.KeyMetadata, nil
}

// Time implements [kms.Clock]: it is in the headers of each answer.
func (k *Key) Time(ctx context.Context) (time.Time, error) {
	out, err := k.client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &k.name})
	if err != nil {
		return time.Time{}, k.classify(ctx, "DescribeKey", err, k.name)
	}
	at, known := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !known {
		return time.Time{}, errors.New("the answer has no date")
	}
	return at, nil
}

// Scheme is the scheme of the driver's URIs.
const Scheme = "awskms"

// identity is the URI of every key, without a version.
const identity = Scheme + ":"

// parseKeyARN reads the ARN of a key, in the one form that AWS writes.
// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN
func parseKeyARN(text string) (arn.ARN, error) {
	a, err := arn.Parse(text)
	id, isKey := strings.CutPrefix(a.Resource, "key/")
	switch {
	case err != nil:
		return a, err
	case !isKey || id == "" || strings.ContainsFunc(id, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || 'A' <= r && r <= 'Z')
	}):
		return a, errors.New("not the ARN of a key")
	case a.Service != "kms" || a.Region == "" || len(a.AccountID) != 12 || a.String() != text:
		return a, errors.New("not an ARN of KMS")
	}
	return a, nil
}
