package config

import (
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/s3proxy/s3proxy/proxy"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// clientKeys are the credentials of clients in the configuration file: a list of
// them, or the path of the file that holds the list.
type clientKeys struct {
	file string
	list []clientKeySettings
}

// clientKeySettings is one credential. Without buckets it may use all of them; their names
// are exact. Without manage it may read and write objects, and create and delete buckets,
// but not change their settings. Certificate is a name in the client's certificate: with it the
// client need not sign.
type clientKeySettings struct {
	AccessKeyID     string    `yaml:"access-key-id"`
	SecretAccessKey string    `yaml:"secret-access-key"`
	SecretFile      string    `yaml:"secret-access-key-file"`
	Certificate     string    `yaml:"certificate"`
	Buckets         *[]string `yaml:"buckets"`
	ReadOnly        bool      `yaml:"read-only"`
	Manage          bool      `yaml:"manage"`
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (k *clientKeys) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&k.file)
	}
	// A node does not decode with the strictness of its document's decoder.
	if n.Kind == yaml.SequenceNode {
		for _, entry := range n.Content {
			if err := knownNames(entry); err != nil {
				return err
			}
		}
	}
	return n.Decode(&k.list)
}

func knownNames(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: here must be a credential", n.Line)
	}
	known := yamlNames(clientKeySettings{})
	for i := 0; i < len(n.Content); i += 2 {
		if name := n.Content[i].Value; !slices.Contains(known, name) {
			return fmt.Errorf("line %d: %s is not a setting of a credential%s", n.Content[i].Line, name, DidYouMean("", name, known))
		}
	}
	return nil
}

func (k *clientKeys) holdsSecrets() bool {
	for _, c := range k.list {
		if c.SecretAccessKey != "" {
			return true
		}
	}
	return false
}

func (k *clientKeySettings) read() (proxy.Credential, error) {
	c := proxy.Credential{Secret: k.SecretAccessKey, ReadOnly: k.ReadOnly, Manage: k.Manage}
	if k.AccessKeyID == "" {
		return c, errors.New("access-key-id is missing")
	}
	if k.SecretAccessKey != "" && k.SecretFile != "" {
		return c, errors.New("give either secret-access-key or secret-access-key-file")
	}
	if k.SecretAccessKey == "" && k.SecretFile == "" && k.Certificate == "" {
		return c, errors.New("give secret-access-key, secret-access-key-file or certificate")
	}
	if k.ReadOnly && k.Manage {
		return c, errors.New("read-only and manage exclude each other")
	}
	if k.SecretFile != "" {
		var err error
		if c.Secret, err = readSecretFile(k.SecretFile); err != nil {
			return c, fmt.Errorf("secret-access-key-file: %w", err)
		}
	}
	if k.Buckets != nil {
		c.Buckets = append([]string{}, *k.Buckets...) // an empty list means no bucket, not all
		for _, name := range c.Buckets {
			if err := state.CheckBucketName(name); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}
