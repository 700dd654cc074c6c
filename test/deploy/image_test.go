package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/s3proxy/s3proxy/test/lab"
)

// image is what a Dockerfile makes: a root file system, and how to start it.
type image struct {
	root            string
	env             map[string]string
	user            string
	entrypoint, cmd []string
}

// stage is one of a Dockerfile while its steps are performed.
type stage struct {
	image
	dir  string // working directory
	args map[string]string
}

// theImage gives the image of deploy/Dockerfile for this machine, built once. Nothing may be
// added to its root.
func theImage(t *testing.T) image {
	t.Helper()
	lab.TakesLong(t)
	built.Lock()
	defer built.Unlock()
	if built.image.root == "" {
		built.image = buildImage(t, lab.SharedFolder(t), runtime.GOARCH)
	}
	return built.image
}

var built struct {
	sync.Mutex
	image image
}

// buildImage performs the steps of deploy/Dockerfile in a folder, as a builder does for a machine
// of the architecture. The image that it builds from stands for is this machine: both have Go.
func buildImage(t *testing.T, folder, arch string) image {
	t.Helper()
	lab.NeedRoot(t)
	stages, last := map[string]*stage{}, (*stage)(nil)
	for n, i := range readDockerfile(t) {
		if i.name == "FROM" {
			base, name, _ := strings.Cut(i.rest, " AS ")
			last = &stage{image: image{root: filepath.Join(folder, "stage", string(rune('0'+n))), env: map[string]string{}}, dir: "/", args: map[string]string{}}
			if err := os.MkdirAll(last.root, 0o755); err != nil {
				t.Fatal(err)
			}
			if base != "scratch" {
				last.borrow(t, base)
			}
			stages[name] = last
			continue
		}
		if last == nil {
			t.Fatalf("%s before FROM", i.name)
		}
		last.perform(t, i, arch, stages)
	}
	return last.image
}

// borrow makes the machine's programs those of a stage that begins with an image of Go.
func (s *stage) borrow(t *testing.T, base string) {
	t.Helper()
	mod, err := os.ReadFile(lab.Path(t, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version, ours := strings.CutPrefix(base, "golang:")
	version, _, _ = strings.Cut(version, "-")
	if !ours || !strings.Contains(string(mod), "\ngo "+version+".") {
		t.Fatalf("the image %s is not the Go of go.mod, and this test has no other", base)
	}
	goroot := strings.TrimSpace(lab.MustRun(t, lab.Env(), "go", "env", "GOROOT"))
	s.env = map[string]string{ // as in the image golang
		"PATH": "/go/bin:" + goroot + "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": "/root", "GOPATH": "/go", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly",
	}
}

func (s *stage) perform(t *testing.T, i instruction, arch string, stages map[string]*stage) {
	t.Helper()
	switch i.name {
	case "ARG":
		value, known := map[string]string{"TARGETOS": "linux", "TARGETARCH": arch}[i.rest]
		if !known {
			t.Fatalf("ARG %s: no builder gives that by itself", i.rest)
		}
		s.args[i.rest] = value
	case "WORKDIR":
		s.dir = i.rest
		if err := os.MkdirAll(filepath.Join(s.root, s.dir), 0o755); err != nil {
			t.Fatal(err)
		}
	case "COPY":
		s.copy(t, i, stages)
	case "RUN":
		s.run(t, i)
	case "ENV":
		name, value, _ := strings.Cut(i.rest, "=")
		s.env[name] = value
	case "USER":
		s.user = i.rest
	case "ENTRYPOINT":
		s.entrypoint = words(t, i)
	case "CMD":
		s.cmd = words(t, i)
	case "EXPOSE":
	default:
		t.Fatalf("%s: this test does not know how to perform that", i.name)
	}
}

// words reads the form of ENTRYPOINT and CMD that needs no shell, which the image has not.
func words(t *testing.T, i instruction) (list []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(i.rest), &list); err != nil {
		t.Fatalf("%s %s: %v", i.name, i.rest, err)
	}
	return list
}

// copy copies what is in a folder of another stage, or what the build may see.
func (s *stage) copy(t *testing.T, i instruction, stages map[string]*stage) {
	t.Helper()
	source, target, _ := strings.Cut(i.rest, " ")
	into := filepath.Join(s.root, s.dir, target)
	if filepath.IsAbs(target) {
		into = filepath.Join(s.root, target)
	}
	var sources []string
	if from, given := i.flag("from"); given {
		if stages[from] == nil || !strings.HasSuffix(source, "/") {
			t.Fatalf("COPY --from=%s %s: not a folder of a stage before", from, source)
		}
		sources = []string{filepath.Join(stages[from].root, source) + "/."}
	} else {
		if source != "." {
			t.Fatalf("COPY %s: this test copies all or nothing", source)
		}
		for _, name := range buildContext(t) {
			sources = append(sources, lab.Path(t, name))
		}
	}
	lab.MustRun(t, lab.Env(), "cp", slices.Concat([]string{"-a", "--no-preserve=ownership"}, sources, []string{into})...)
}

// run performs a RUN: the stage's folder is the root, with the machine's programs in it.
func (s *stage) run(t *testing.T, i instruction) {
	t.Helper()
	environment := func(name string) string {
		return strings.TrimSpace(lab.MustRun(t, lab.Env(), "go", "env", name))
	}
	mounts := []mount{{from: "/usr", to: "/usr"}, {from: "/etc", to: "/etc"}, {from: "/dev", to: "/dev"}, {from: "/proc", to: "/proc"}}
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if _, err := os.Stat(name); err == nil {
			mounts = append(mounts, mount{from: name, to: name})
		}
	}
	if goroot := environment("GOROOT"); !strings.HasPrefix(goroot, "/usr/") {
		mounts = append(mounts, mount{from: goroot, to: goroot})
	}
	caches := map[string]string{"/go/pkg/mod": environment("GOMODCACHE"), "/root/.cache/go-build": environment("GOCACHE")}
	for _, flag := range i.flags {
		target, cache := strings.CutPrefix(flag, "mount=type=cache,target=")
		if !cache || caches[target] == "" {
			t.Fatalf("RUN --%s: this test does not know that cache", flag)
		}
		mounts = append(mounts, mount{from: caches[target], to: target})
	}
	env := maps.Clone(s.env)
	maps.Copy(env, s.args)
	env["GOPROXY"] = environment("GOPROXY") // the builder's network is the machine's
	if err := os.MkdirAll(filepath.Join(s.root, "tmp"), 0o777); err != nil {
		t.Fatal(err)
	}
	p := container{image: image{root: s.root, env: env, user: "0:0"}, mounts: mounts, dir: s.dir, writable: true}.start(t, "RUN", "/bin/sh", "-c", i.rest)
	if code, ended := p.Wait(buildWithin); !ended || code != 0 {
		t.Fatalf("RUN %s: exit code %d (ended: %v)\n%s", i.rest, code, ended, p.Log())
	}
}

// program gives the path of the image's program on this machine.
func (i image) program() string { return filepath.Join(i.root, i.entrypoint[0]) }

// files lists what is in the image, folders with a / at the end.
func (i image) files(t *testing.T) (list []string) {
	t.Helper()
	out, err := exec.Command("find", i.root, "-mindepth", "1", "(", "-type", "d", "-printf", `%P/\n`, ")", "-o", "-printf", `%P\n`).Output()
	if err != nil {
		t.Fatal(err)
	}
	list = strings.Fields(string(out))
	slices.Sort(list)
	return list
}
