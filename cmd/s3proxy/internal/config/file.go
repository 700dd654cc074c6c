package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/s3proxy/s3proxy/internal/secretfile"
)

// configFile is the content of the file that --config names.
type configFile struct {
	Buckets     map[string]Bucket `yaml:"buckets"`
	Credentials *clientKeys       `yaml:"credentials"`
	// Settings are those that also are flags.
	Settings map[string]any `yaml:",inline"`
}

// Bucket has the settings of one bucket; a setting that is left out is the same as for all
// others. deploy/config.example.yaml explains each of them.
type Bucket struct {
	Encrypt             *bool    `yaml:"encrypt"`
	ETag                string   `yaml:"etag"`
	RangeCheck          string   `yaml:"range-check"`
	SSE                 string   `yaml:"sse"`
	CORS                string   `yaml:"cors"`
	Floor               []string `yaml:"floor"`
	KMS                 string   `yaml:"kms"`
	KMSRead             []string `yaml:"kms-read"`
	Alias               string   `yaml:"alias"`
	AllowPlaintextReads *bool    `yaml:"allow-plaintext-reads"`
	LegacyKey           string   `yaml:"legacy-key"`
	LegacyKeyFile       string   `yaml:"legacy-key-file"`
	LegacyKeyEnv        string   `yaml:"legacy-key-env"`
	Upstream            Upstream `yaml:"upstream"`
}

// Upstream names a store. Equal ones share one client.
type Upstream struct {
	URL         string              `yaml:"url"`
	Region      string              `yaml:"region"`
	Payload     string              `yaml:"payload"`
	Signature   string              `yaml:"signature"`
	Addressing  string              `yaml:"addressing"`
	CA          string              `yaml:"ca"`
	Cert        string              `yaml:"cert"`
	Key         string              `yaml:"key"`
	Insecure    bool                `yaml:"insecure"`
	Credentials UpstreamCredentials `yaml:"credentials"`
}

// UpstreamCredentials are those of the proxy at a store: a profile of AWS's shared
// files, or a key whose secret is in a file or in the environment. If all are empty, they
// are found as the AWS SDKs find them.
type UpstreamCredentials struct {
	Profile            string `yaml:"profile"`
	AccessKeyID        string `yaml:"access-key-id"`
	AccessKeyIDEnv     string `yaml:"access-key-id-env"`
	SecretAccessKeyEnv string `yaml:"secret-access-key-env"`
	SecretFile         string `yaml:"secret-access-key-file"`
}

// readConfigFile reads the file strictly. Every mistake is one line that names the file and,
// where it is known, the setting. It never shows a value, which may be a secret in the wrong
// place.
func readConfigFile(path string) (*configFile, error) {
	f := &configFile{}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = readYAML(raw, f)
	}
	if err == nil && f.holdsSecrets() {
		_, _, err = secretfile.Read(path, maxSecrets)
	}
	if err != nil {
		return nil, Usagef("the configuration file %s: %w", path, err)
	}
	return f, nil
}

// holdsSecrets tells whether the file itself has secrets, and so must be private.
func (f *configFile) holdsSecrets() bool {
	for _, set := range f.Buckets {
		if set.LegacyKey != "" {
			return true
		}
	}
	return f.Credentials != nil && f.Credentials.holdsSecrets()
}

// readYAML reads one document into doc and refuses unknown names, names without a
// value (an empty list of buckets must not become "all buckets") and a second document.
func readYAML(raw []byte, doc any) error {
	var tree yaml.Node
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		return yamlError(err)
	}
	if err := refuseEmptyValues(&tree); err != nil {
		return err
	}
	if len(tree.Content) == 0 {
		return nil
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(raw)))
	decoder.KnownFields(true)
	if err := decoder.Decode(doc); err != nil {
		return yamlError(err)
	}
	if decoder.Decode(&yaml.Node{}) == nil {
		return errors.New("it contains more than one document")
	}
	return nil
}

func refuseEmptyValues(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i+1].Tag == "!!null" {
				return fmt.Errorf("line %d: %s has no value", n.Content[i].Line, n.Content[i].Value)
			}
		}
	}
	for _, c := range n.Content {
		if err := refuseEmptyValues(c); err != nil {
			return err
		}
	}
	return nil
}

var (
	yamlPreface = regexp.MustCompile(`^yaml: (unmarshal errors:)?\s*`)
	yamlUnknown = regexp.MustCompile(`field (\S+) not found in type config\.(\w+)`)
	yamlValue   = regexp.MustCompile(`cannot unmarshal .* into \S+`)
)

func yamlError(err error) error {
	text := oneLine(errors.New(yamlPreface.ReplaceAllString(err.Error(), "")))
	text = yamlUnknown.ReplaceAllStringFunc(text, func(found string) string {
		m := yamlUnknown.FindStringSubmatch(found)
		return m[1] + " is not a setting here" + DidYouMean("", m[1], settingsOf[m[2]])
	})
	return errors.New(yamlValue.ReplaceAllString(text, "the value is of the wrong kind"))
}

// settingsOf are the names that may be given, by the type that they are read into.
var settingsOf = map[string][]string{
	"Bucket": yamlNames(Bucket{}), "Upstream": yamlNames(Upstream{}), "UpstreamCredentials": yamlNames(UpstreamCredentials{}),
}

func yamlNames(of any) (names []string) {
	for field := range reflect.TypeOf(of).Fields() {
		names = append(names, field.Tag.Get("yaml"))
	}
	return names
}

// maxSecrets bounds a file with secrets, in bytes.
const maxSecrets = 16 << 20

// readSecretFile gives the one line of a file that others cannot read. A relative path
// is refused, since what it is relative to would be a matter of luck.
func readSecretFile(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s is not an absolute path", path)
	}
	raw, _, err := secretfile.Read(path, maxSecrets)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf("%s does not hold one line with a secret", path)
	}
	return secret, nil
}

// Read gives the access key and its secret from the file and the environment. It is for
// credentials that are not a profile.
func (u *UpstreamCredentials) Read() (id, secret string, err error) {
	id = u.AccessKeyID
	if u.AccessKeyIDEnv != "" {
		if id = os.Getenv(u.AccessKeyIDEnv); id == "" {
			return "", "", fmt.Errorf("access-key-id-env: %s is not set in the environment", u.AccessKeyIDEnv)
		}
	}
	if u.SecretFile != "" {
		if secret, err = readSecretFile(u.SecretFile); err != nil {
			return "", "", fmt.Errorf("secret-access-key-file: %w", err)
		}
		return id, secret, nil
	}
	if secret = os.Getenv(u.SecretAccessKeyEnv); secret == "" {
		return "", "", fmt.Errorf("secret-access-key-env: %s is not set in the environment", u.SecretAccessKeyEnv)
	}
	return id, secret, nil
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
