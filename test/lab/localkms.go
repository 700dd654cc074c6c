package lab

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// LocalKMS is a running local-kms, an emulator of AWS KMS that is not ours. It does not check
// signatures.
type LocalKMS struct {
	*Process
	URL string
}

// LocalKMSRegion is the region of its keys.
const LocalKMSRegion = "eu-west-2"

// NewLocalKMS starts a local-kms for one test.
func NewLocalKMS(t testing.TB) *LocalKMS {
	t.Helper()
	at := place{t: t}
	address := FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	dir := at.folder("localkms")
	env := Env("PORT="+port, "KMS_REGION="+LocalKMSRegion, "KMS_DATA_PATH="+filepath.Join(dir, "data"), "KMS_SEED_PATH="+filepath.Join(dir, "none"))
	k := &LocalKMS{Process: start(at, "local-kms", serverBinary(t, "localkms"), nil, env), URL: "http://" + address}
	k.AwaitListening(t, address)
	return k
}

// Environment returns the variables with which AWS's SDKs find the emulator.
func (k *LocalKMS) Environment() map[string]string {
	return map[string]string{"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_REGION": LocalKMSRegion, "AWS_ENDPOINT_URL_KMS": k.URL}
}

// Admin is a client that may do everything.
func (k *LocalKMS) Admin() *kms.Client {
	return kms.New(kms.Options{Region: LocalKMSRegion, BaseEndpoint: &k.URL, Credentials: credentials.NewStaticCredentialsProvider("any", "any", "")})
}

// CreateKey makes a symmetric key and returns its ARN.
func (k *LocalKMS) CreateKey(t testing.TB) string {
	t.Helper()
	made, err := k.Admin().CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *made.KeyMetadata.Arn
}

// Alias makes an alias for a key, or moves an existing one to it.
func (k *LocalKMS) Alias(t testing.TB, name, arn string) {
	t.Helper()
	_, err := k.Admin().UpdateAlias(t.Context(), &kms.UpdateAliasInput{AliasName: &name, TargetKeyId: &arn})
	if errors.As(err, new(*types.NotFoundException)) {
		_, err = k.Admin().CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &name, TargetKeyId: &arn})
	}
	if err != nil {
		t.Fatal(err)
	}
}
