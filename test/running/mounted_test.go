package running

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// The user of a pod's process, and the group for which its Secrets are mounted (fsGroup).
const (
	podUser  = 65532
	podGroup = 65533
)

var pod = lab.User{ID: podUser, Group: podUser, Groups: []uint32{podGroup}}

// mounted lays out the Secrets that a proxy needs: a folder with a keyset, clients and a
// configuration.
func mounted(t *testing.T, group int, mode os.FileMode) string {
	t.Helper()
	lab.NeedRoot(t)
	_, path := lab.NewKeyset(t)
	keyset, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	folder := lab.PublicFolder(t)
	lab.MountSecret(t, folder, group, mode, map[string]string{
		"keyset.json":  string(keyset),
		"clients.yaml": "- {access-key-id: backup, secret-access-key-file: " + folder + "/backup}\n",
		"backup":       lab.ClientSecretKey + "\n",
		"config.yaml":  "credentials:\n- {access-key-id: " + lab.ClientAccessKey + ", secret-access-key: " + lab.ClientSecretKey + "}\n",
	})
	return folder
}

func TestSecretsThatKubernetesMountsForTheGroupOfAPodAreRead(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	store, folder, bin := lab.SharedVersitygw(t), mounted(t, podGroup, 0o440), lab.PublicS3proxy(t)
	data := lab.PublicFolder(t)
	if err := os.Chown(data, podUser, podUser); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		settings  []string
		accessKey string
	}{
		{[]string{"--credentials", filepath.Join(folder, "clients.yaml")}, "backup"},
		{[]string{"--config", filepath.Join(folder, "config.yaml")}, lab.ClientAccessKey},
	} {
		address := lab.FreeAddress(t)
		args := append([]string{"serve", "--listen", address, "--admin-listen", "", "--upstream", store.URL, "--data-dir", data, "--kms", "localfile://" + folder + "/keyset.json"}, c.settings...)
		p := lab.StartAs(t, pod, "s3proxy", bin, args, lab.Env("AWS_ACCESS_KEY_ID="+store.AccessKey, "AWS_SECRET_ACCESS_KEY="+store.SecretKey))
		p.AwaitListening(t, address)
		at := lab.S3{URL: "http://" + address, AccessKey: c.accessKey, SecretKey: lab.ClientSecretKey}
		s3test.RoundTrip(t, at, s3test.NewBucket(t, at), 1000)
	}
}

func TestMountedSecretsForAllOrToBeWrittenAreRefused(t *testing.T) {
	t.Parallel()
	if lab.Direct {
		t.Skip("there is no proxy")
	}
	store, bin := lab.SharedVersitygw(t), lab.PublicS3proxy(t)
	for name, mode := range map[string]os.FileMode{"for all": 0o444, "to be written by the group": 0o460} {
		folder := mounted(t, podGroup, mode)
		args := []string{"serve", "--listen", lab.FreeAddress(t), "--admin-listen", "", "--upstream", store.URL, "--data-dir", folder, "--kms", "localfile://" + folder + "/keyset.json", "--credentials", folder + "/clients.yaml"}
		p := lab.StartAs(t, pod, "s3proxy", bin, args, lab.Env("AWS_ACCESS_KEY_ID="+store.AccessKey, "AWS_SECRET_ACCESS_KEY="+store.SecretKey))
		if code, ok := p.Wait(lab.AnswerWithin); !ok || code == 0 || !strings.Contains(p.Log(), "chmod 600") {
			t.Errorf("%s: exit code %d (ended: %v)\n%s", name, code, ok, p.Log())
		}
	}
}
