package deploy

import (
	"bytes"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
	"github.com/s3proxy/s3proxy/test/s3test"
)

// licences is the folder of the licences of others in the image.
const licences = "usr/share/doc/s3proxy/licenses/"

func TestTheImageHoldsOneStaticProgramAndCertificates(t *testing.T) {
	t.Parallel()
	i := theImage(t)
	var files []string
	for _, name := range i.files(t) {
		if !strings.HasSuffix(name, "/") && !strings.HasPrefix(name, licences) {
			files = append(files, name)
		}
	}
	want := []string{"etc/ssl/certs/ca-certificates.crt", "usr/bin/s3proxy", "usr/share/doc/s3proxy/LICENSE"}
	if !slices.Equal(files, want) {
		t.Errorf("it holds %q", files)
	}
	info, err := buildinfo.ReadFile(i.program())
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range append(info.Deps, &debug.Module{Path: "go"}) {
		if found, err := filepath.Glob(filepath.Join(i.root, licences, module.Path, "*")); err != nil || len(found) == 0 {
			t.Errorf("no licence of %s is in it (%v)", module.Path, err)
		}
	}
	machineOf(t, i, elf.EM_X86_64, elf.EM_AARCH64)
	certificates, err := os.ReadFile(filepath.Join(i.root, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(certificates) {
		t.Errorf("no certificates in it (%v)", err)
	}
	if program, err := os.Stat(i.program()); err != nil || program.Size() > 32<<20 {
		t.Errorf("the program is %v (%v)", program, err)
	}
}

// machineOf checks that the image's program is for one of the machines and needs no loader.
func machineOf(t *testing.T, i image, machines ...elf.Machine) {
	t.Helper()
	f, err := elf.Open(i.program())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !slices.Contains(machines, f.Machine) {
		t.Errorf("it is for %v", f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it is not static")
		}
	}
}

func TestTheImageIsBuiltForOtherMachinesToo(t *testing.T) {
	t.Parallel()
	lab.TakesLong(t)
	arch, machine := "arm64", elf.EM_AARCH64
	if runtime.GOARCH == arch {
		arch, machine = "amd64", elf.EM_X86_64
	}
	machineOf(t, buildImage(t, lab.PublicFolder(t), arch), machine)
}

// served is an image's environment for a proxy in front of a store.
func served(store *lab.Store, address string) map[string]string {
	return map[string]string{
		"S3PROXY_UPSTREAM": store.URL, "AWS_ACCESS_KEY_ID": store.AccessKey, "AWS_SECRET_ACCESS_KEY": store.SecretKey,
		"S3PROXY_LISTEN": address, "S3PROXY_ACCESS_KEY_ID": lab.ClientAccessKey, "S3PROXY_SECRET_ACCESS_KEY": lab.ClientSecretKey,
		"S3PROXY_KMS": "localfile:///etc/s3proxy/keyset.json",
	}
}

func TestTheImageServesAsItsNumericUserFromAReadOnlyRoot(t *testing.T) {
	t.Parallel()
	i := theImage(t).copyOf(t)
	before := i.files(t)
	store, address, secrets := lab.SharedVersitygw(t), lab.FreeAddress(t), lab.PublicFolder(t)
	_, keyset := lab.NewKeyset(t)
	raw, err := os.ReadFile(keyset)
	if err != nil {
		t.Fatal(err)
	}
	const group = 3000 // fsGroup
	lab.MountSecret(t, secrets, group, 0o440, map[string]string{"keyset.json": string(raw)})
	c := container{image: i, mounts: []mount{{from: secrets, to: "/etc/s3proxy"}, {to: "/tmp"}}, groups: []string{fmt.Sprint(group)}}.with(served(store, address))
	p := c.start(t, "s3proxy", slices.Concat(i.entrypoint, i.cmd)...)
	p.AwaitListening(t, address)
	wantUser(t, p, i.user, group)

	at := lab.S3{URL: "http://" + address, AccessKey: lab.ClientAccessKey, SecretKey: lab.ClientSecretKey}
	bucket := s3test.NewBucket(t, at)
	s3test.RoundTrip(t, at, bucket, 1<<20)
	// A small part is kept in a temporary file.
	client, small := s3test.SDK(t, at), s3test.Content(5, 1000)
	upload := s3test.Begin(t, client, bucket, "parts")
	if _, err := upload.Complete(client, upload.Send(client, 1, small)); err != nil {
		t.Fatal(err)
	}
	s3test.MustGet(t, at, bucket, "parts", small)

	p.Term()
	if code, ended := p.Wait(lab.AnswerWithin); !ended || code != 0 {
		t.Errorf("exit code %d (ended: %v)\n%s", code, ended, p.Log())
	}
	after := slices.DeleteFunc(i.files(t), func(name string) bool { return name == "etc/s3proxy/" })
	if !slices.Equal(after, before) {
		t.Errorf("its root holds %q, and held %q", after, before)
	}
}

// wantUser checks what the kernel knows of a container's process.
func wantUser(t *testing.T, p *lab.Process, user string, groups ...int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	id, group, _ := strings.Cut(user, ":")
	if id == "" || id == "0" || strings.Trim(id+group, "0123456789") != "" {
		t.Fatalf("the image's user is %q", user)
	}
	for _, want := range []string{
		"Uid:\t" + strings.Repeat(id+"\t", 3) + id + "\n", "Gid:\t" + strings.Repeat(group+"\t", 3) + group + "\n",
		"Groups:\t" + strings.Trim(fmt.Sprint(groups), "[]") + " \n", "CapEff:\t0000000000000000\n",
	} {
		if !bytes.Contains(status, []byte(want)) {
			t.Errorf("no %q in its status:\n%s", want, status)
		}
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", p.PID()))
	if err != nil || root == "/" {
		t.Errorf("its root is %s (%v)", root, err)
	}
}
