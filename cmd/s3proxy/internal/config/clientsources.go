package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/s3proxy/s3proxy/internal/secretfile"
)

// client is a credential, and where it stands.
type client struct {
	where string
	clientKeySettings
}

// clients reads all credentials from where the configuration says that they are. The files are
// those whose change may change them.
func (c *Config) clients() (all []client, files []string, err error) {
	path := c.Credentials
	switch info, statErr := os.Stat(path); {
	case path == "" && c.inline:
		path = c.Path
		all, err = inConfigFile(path)
	case path == "":
	case statErr == nil && info.IsDir():
		all, err = inFolder(path)
	default:
		all, err = inFile(path)
	}
	if path != "" {
		files = []string{path}
	}
	for _, one := range all {
		if one.SecretFile != "" {
			files = append(files, one.SecretFile)
		}
	}
	return append(all, inEnvironment()...), files, err
}

func listed(list []clientKeySettings, path string) (all []client) {
	for i, one := range list {
		all = append(all, client{fmt.Sprintf("%s: credential %d", path, i+1), one})
	}
	return all
}

func inConfigFile(path string) ([]client, error) {
	f, err := readConfigFile(path)
	if err != nil {
		return nil, err
	}
	if f.Credentials == nil || f.Credentials.list == nil {
		return nil, Usagef("the configuration file %s no longer holds a list of credentials", path)
	}
	return listed(f.Credentials.list, path), nil
}

func inFile(path string) ([]client, error) {
	keys := &clientKeys{}
	raw, _, err := secretfile.Read(path, maxSecrets)
	if err == nil {
		err = readYAML(raw, keys)
	}
	if err != nil {
		return nil, Usagef("the credentials file %s: %w", path, err)
	}
	if keys.list == nil {
		return nil, Usagef("the credentials file %s does not hold a list of credentials", path)
	}
	return listed(keys.list, path), nil
}

// inFolder reads a folder of mounted Secrets: a file in it is one client, or a list of them; a
// folder in it is one client, with a file for each setting. Names that begin with a dot are the
// kubelet's own.
func inFolder(path string) (all []client, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, Usagef("the folder of credentials: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		inside := filepath.Join(path, e.Name())
		info, err := os.Stat(inside)
		var found []client
		switch {
		case err != nil:
			err = Usagef("the folder of credentials: %w", err)
		case info.IsDir():
			found, err = inClientFolder(inside)
		default:
			found, err = inClientFile(inside)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// inClientFile reads one credential, or a list of them.
func inClientFile(path string) ([]client, error) {
	raw, _, err := secretfile.Read(path, maxSecrets)
	if err != nil {
		return nil, Usagef("the credentials file %s: %w", path, err)
	}
	var top yaml.Node
	if yaml.Unmarshal(raw, &top) != nil || len(top.Content) != 1 || top.Content[0].Kind != yaml.MappingNode {
		return inFile(path)
	}
	var one clientKeySettings
	if err := readYAML(raw, &one); err != nil {
		return nil, Usagef("the credentials file %s: %w", path, err)
	}
	return []client{{path, one}}, nil
}

// inClientFolder reads one credential: the name of a file is that of the setting.
func inClientFolder(path string) ([]client, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, Usagef("the folder of credentials: %w", err)
	}
	one := client{where: path}
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") {
			if err := one.readFile(name, filepath.Join(path, name)); err != nil {
				return nil, Usagef("the credentials folder %s: %w", path, err)
			}
		}
	}
	return []client{one}, nil
}

func (k *clientKeySettings) readFile(name, path string) error {
	if name == "secret-access-key" {
		k.SecretFile = path // read with those that a file names
		return nil
	}
	raw, _, err := secretfile.Read(path, maxSecrets)
	if err != nil {
		return err
	}
	return k.set(name, strings.TrimSpace(string(raw)))
}

// set sets what is not secret, from text.
func (k *clientKeySettings) set(name, value string) (err error) {
	if value == "" {
		return fmt.Errorf("%s has no value", name)
	}
	switch name {
	case "access-key-id":
		k.AccessKeyID = value
	case "certificate":
		k.Certificate = value
	case "buckets":
		list := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
		k.Buckets = &list
	case "read-only":
		k.ReadOnly, err = strconv.ParseBool(value)
	case "manage":
		k.Manage, err = strconv.ParseBool(value)
	default:
		return fmt.Errorf("%s is not a setting of a credential%s", name, DidYouMean("", name, yamlNames(clientKeySettings{})))
	}
	if err != nil {
		return fmt.Errorf("%s must be true or false", name)
	}
	return nil
}

// envClient begins the variables of a further client, which its name follows.
const envClient = "CLIENT_"

// clientVariables are the ends of their names.
var clientVariables = []string{"_ACCESS_KEY_ID", "_SECRET_ACCESS_KEY", "_CERTIFICATE", "_BUCKETS", "_READ_ONLY", "_MANAGE"}

// clientVariable takes a variable (without our prefix) apart: S3PROXY_CLIENT_BACKUP_READ_ONLY is
// the setting read-only of the client BACKUP.
func clientVariable(variable string) (name, setting string, ok bool) {
	rest, ok := strings.CutPrefix(variable, envClient)
	if !ok {
		return "", "", false
	}
	for _, end := range clientVariables {
		if name, found := strings.CutSuffix(rest, end); found && name != "" {
			return name, strings.ToLower(strings.ReplaceAll(end[1:], "_", "-")), true
		}
	}
	return "", "", false
}

// inEnvironment gives the clients of the environment, which is checked already.
func inEnvironment() (all []client) {
	all, _ = readEnvironment()
	return all
}

func readEnvironment() (all []client, err error) {
	variables := os.Environ()
	slices.Sort(variables)
	for _, variable := range variables {
		variable, value, _ := strings.Cut(variable, "=")
		name, setting, ok := clientVariable(strings.TrimPrefix(variable, envPrefix))
		if !ok || !strings.HasPrefix(variable, envPrefix) {
			continue
		}
		where := envPrefix + envClient + name
		at := slices.IndexFunc(all, func(one client) bool { return one.where == where })
		if at < 0 {
			at, all = len(all), append(all, client{where: where})
		}
		if setting == "secret-access-key" {
			all[at].SecretAccessKey = value
		} else if err := all[at].set(setting, value); err != nil {
			return nil, Usagef("the environment: %s: %w", where, err)
		}
	}
	for _, one := range all {
		if one.AccessKeyID == "" || one.SecretAccessKey == "" && one.Certificate == "" {
			return nil, Usagef("the environment: set both %[1]s_ACCESS_KEY_ID and %[1]s_SECRET_ACCESS_KEY (or _CERTIFICATE)", one.where)
		}
		if _, err := one.read(); err != nil {
			return nil, Usagef("the environment: %s: %w", one.where, err)
		}
	}
	return all, nil
}

// ofClients says which variables a client has.
const ofClients = "a client's are S3PROXY_CLIENT_NAME_ACCESS_KEY_ID, _SECRET_ACCESS_KEY, _CERTIFICATE, _BUCKETS, _READ_ONLY and _MANAGE"
