package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/s3proxy/s3proxy/kms"
)

// Time implements [kms.Clock]. Vault tells it to everybody.
func (k *Key) Time(ctx context.Context) (time.Time, error) {
	health, err := k.connection.client.Sys().HealthWithContext(ctx)
	if err != nil {
		return time.Time{}, k.classify(ctx, "ask for the time", err)
	}
	if health.ServerTimeUTC == 0 {
		return time.Time{}, errors.New("the answer from Vault has no time")
	}
	return time.Unix(health.ServerTimeUTC, 0), nil
}

// elsewhere is a key that there is not, for the question whether a policy is for all keys.
const elsewhere = "s3proxy-doctor-asks-of-another-key"

// privilege is a path of the engine, with what a proxy needs of it.
type privilege struct {
	path  string
	needs []string // capabilities
	what  string   // what the others allow
}

// privileges are the paths that matter.
// https://developer.hashicorp.com/vault/api-docs/secret/transit
func (k *Key) privileges() []privilege {
	other := &Key{mount: k.mount, key: elsewhere}
	return []privilege{
		{k.path("encrypt"), []string{"update"}, "make keys by encrypting under their name"},
		{k.path("decrypt"), []string{"update"}, "change the decryption"},
		{k.path("keys"), []string{"read"}, "change or delete the key"},
		{k.path("keys") + "/rotate", nil, "rotate the key"},
		{k.path("keys") + "/config", nil, "change the key's settings, such as the oldest version that decrypts"},
		{k.path("keys") + "/trim", nil, "destroy versions"},
		{k.path("export/encryption-key"), nil, "read the key itself"},
		{k.path("backup"), nil, "read the key itself, by a backup"},
		{other.path("encrypt"), nil, "encrypt with other keys"},
		{other.path("decrypt"), nil, "decrypt with other keys"},
	}
}

// Privileges implements [kms.Privileged], by Vault's own answer to what the token may do.
// https://developer.hashicorp.com/vault/api-docs/system/capabilities-self
func (k *Key) Privileges(ctx context.Context) (beyond, lacks []string, err error) {
	var paths []string
	for _, p := range k.privileges() {
		paths = append(paths, p.path)
	}
	var answer *api.Secret
	err = k.connection.do(ctx, func(ctx context.Context, client *api.Client) (err error) {
		answer, err = client.Logical().WriteWithContext(ctx, "sys/capabilities-self", map[string]any{"paths": paths})
		return err
	})
	if err != nil {
		return nil, nil, k.classify(ctx, "ask what the token may do", err)
	}
	if answer == nil {
		return nil, nil, fmt.Errorf("%w: Vault does not tell what the token may do", kms.ErrUnavailable)
	}
	for _, p := range k.privileges() {
		may := capabilities(answer.Data[p.path])
		if slices.Contains(may, "root") {
			return []string{"everything: its token is a root token"}, nil, nil
		}
		more := slices.DeleteFunc(slices.Clone(may), func(c string) bool { return slices.Contains(p.needs, c) || c == "deny" })
		if len(more) > 0 {
			beyond = append(beyond, fmt.Sprintf("%s (%s: %s)", p.what, p.path, strings.Join(more, ", ")))
		}
		for _, need := range p.needs {
			if !slices.Contains(may, need) {
				lacks = append(lacks, need+" "+p.path)
			}
		}
	}
	return beyond, lacks, nil
}

func capabilities(value any) (all []string) {
	list, _ := value.([]any)
	for _, one := range list {
		if text, is := one.(string); is {
			all = append(all, text)
		}
	}
	return all
}
