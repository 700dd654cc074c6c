package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

const installPage = "INSTALL.md"

// installBlock gives the one block of commands in docs/INSTALL.md that contains a text, its
// continued lines joined.
func installBlock(t *testing.T, text string) string {
	t.Helper()
	for _, block := range lab.DocBlocks(t, installPage, "sh") {
		if strings.Contains(block, text) {
			return continued.ReplaceAllString(block, "")
		}
	}
	t.Fatalf("docs/%s has no commands with %q", installPage, text)
	return ""
}

var (
	link   = regexp.MustCompile(`\]\(([^)#]+)`)
	inRepo = regexp.MustCompile(`\b(deploy|test|docs)/[A-Za-z0-9_./-]+[A-Za-z0-9]`)
)

func TestEachFileThatTheInstallPageNamesIsThere(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(lab.Path(t, "docs", installPage))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, m := range link.FindAllSubmatch(page, -1) {
		paths = append(paths, filepath.Join("docs", string(m[1])))
	}
	if paths = append(paths, inRepo.FindAllString(string(page), -1)...); len(paths) < 15 {
		t.Errorf("it names %q", paths)
	}
	for _, path := range paths {
		if _, err := os.Stat(lab.Path(t, path)); err != nil {
			t.Error(err)
		}
	}
}

func TestHelmTakesTheCommandOfTheInstallPage(t *testing.T) {
	t.Parallel()
	rendered := ""
	for line := range strings.Lines(installBlock(t, "helm install")) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "helm install "); ok {
			args := append([]string{"template", "--kube-version", "1.34.0"}, strings.Fields(rest)...)
			for i, arg := range args {
				if strings.HasPrefix(arg, "deploy/") {
					args[i] = lab.Path(t, arg)
				}
			}
			rendered = lab.MustRun(t, lab.Env(), lab.Helm(t), args...)
		}
	}
	for _, m := range regexp.MustCompile(`create secret generic (\S+)`).FindAllStringSubmatch(installBlock(t, "kubectl"), -1) {
		if !strings.Contains(rendered, m[1]) {
			t.Errorf("the chart does not use the Secret %s", m[1])
		}
	}
	asJSON(t, rendered)
}

func TestTheContainerOfTheInstallPageServes(t *testing.T) {
	t.Parallel()
	words := strings.Fields(installBlock(t, "docker run"))
	store, address, secrets := lab.SharedVersitygw(t), lab.FreeAddress(t), lab.PublicFolder(t)
	_, keyset := lab.NewKeyset(t)
	raw, err := os.ReadFile(keyset)
	if err != nil {
		t.Fatal(err)
	}
	const group = 3000 // --group-add
	lab.MountSecret(t, secrets, group, 0o640, map[string]string{"keyset.json": string(raw)})
	here := served(store, address) // what the shell has, or what is elsewhere here
	env := map[string]string{"S3PROXY_LISTEN": address}
	c := container{image: theImage(t).copyOf(t), groups: []string{fmt.Sprint(group)}}
	for i, word := range words {
		switch word {
		case "-e":
			name, value, _ := strings.Cut(words[i+1], "=")
			if name == "S3PROXY_UPSTREAM" || value == "" {
				value = here[name]
			}
			if env[name] = value; name == "S3PROXY_UPSTREAM_REGION" {
				env[name] = "us-east-1"
			}
		case "-v":
			c.mounts = append(c.mounts, mount{from: secrets, to: strings.Split(words[i+1], ":")[1]})
		case "--tmpfs":
			c.mounts = append(c.mounts, mount{to: words[i+1]})
		}
	}
	p := c.with(env).start(t, "s3proxy", slices.Concat(c.entrypoint, c.cmd)...)
	p.AwaitListening(t, address)
	at := lab.S3{URL: "http://" + address, AccessKey: lab.ClientAccessKey, SecretKey: lab.ClientSecretKey}
	s3test.RoundTrip(t, at, s3test.NewBucket(t, at), 100_000)
}

// The commands are run on this machine, over which a file system in memory is laid.
func TestTheUnitIsInstalledByTheCommandsOfTheInstallPage(t *testing.T) {
	t.Parallel()
	lab.NeedRoot(t)
	block := installBlock(t, "systemd-sysusers")
	script := fmt.Sprintf(`
over=%q
mount -t tmpfs tmpfs "$over"
mkdir "$over/upper" "$over/work" "$over/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$over/upper,workdir=$over/work" "$over/root"
mount --rbind /dev "$over/root/dev"
mount --rbind /proc "$over/root/proc"
exec chroot "$over/root" /bin/sh -exc '
sudo() { "$@"; }
make() { mkdir -p bin; cp %s bin/s3proxy; }
mkdir /source; cp -a %s /source; cd /source
%s
stat -c "%%n %%a %%U:%%G" /etc/s3proxy/* /etc/systemd/system/s3proxy.service
systemd-analyze verify --man=no s3proxy.service
setpriv --reuid s3proxy --regid s3proxy --init-groups cat /etc/s3proxy/keyset.json /etc/s3proxy/config.yaml >/dev/null
! setpriv --reuid s3proxy --regid s3proxy --init-groups cat /etc/s3proxy/environment
'`, t.TempDir(), lab.S3proxy(t), lab.Path(t, "deploy"), block)
	out, err := lab.RunBoth(t, lab.Env(), lab.Need(t, "unshare"), "--mount", "--propagation", "private", "/bin/sh", "-ec", script)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"/etc/s3proxy/config.yaml 640 root:s3proxy", "/etc/s3proxy/environment 600 root:root",
		"/etc/s3proxy/keyset.json 640 root:s3proxy", "/etc/systemd/system/s3proxy.service 644 root:root",
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
