package config

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/s3proxy/s3proxy/internal/secretfile"
)

// ClientKey is an access key that clients sign with.
type ClientKey struct {
	ID, Secret string
	// File is the AWS shared credentials file that holds it; "" if it comes from the
	// environment.
	File string
	Made bool // whether this start made it
}

// loadClientKey takes the clients' key from the environment, or from the data
// folder, where the first start makes one.
func loadClientKey(c *Config) (ClientKey, error) {
	if id := os.Getenv(EnvAccessKey); id != "" {
		return ClientKey{ID: id, Secret: os.Getenv(EnvSecretKey)}, nil
	}
	if err := c.NeedDataDir(); err != nil {
		return ClientKey{}, err
	}
	path := filepath.Join(c.DataDir, "credentials")
	made := false
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeClientKey(path)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return ClientKey{}, fmt.Errorf("make the clients' credentials: %w", err)
		}
		made = err == nil
		info, err = os.Stat(path)
	}
	if err != nil {
		return ClientKey{}, err
	}
	if err := secretfile.Check(path, info); err != nil {
		return ClientKey{}, fmt.Errorf("the clients' credentials: %w", err)
	}
	shared, err := awsconfig.LoadSharedConfigProfile(context.Background(), "default", func(o *awsconfig.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles = []string{path}, []string{}
	})
	if err != nil || !shared.Credentials.HasKeys() {
		return ClientKey{}, fmt.Errorf("the clients' credentials %s have no access key in the profile default", path)
	}
	return ClientKey{ID: shared.Credentials.AccessKeyID, Secret: shared.Credentials.SecretAccessKey, File: path, Made: made}, nil
}

// writeClientKey makes a key in the form of AWS's shared credentials file. A
// file that another start made meanwhile stays.
func writeClientKey(path string) error {
	random := make([]byte, 40)
	rand.Read(random)
	id := "S3P" + strings.TrimRight(base32.StdEncoding.EncodeToString(random[:10]), "=")
	secret := base64.RawStdEncoding.EncodeToString(random[10:])
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".credentials-*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintf(f, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", id, secret)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
