package doctor

import (
	"context"
	"os"
	"runtime"

	"golang.org/x/sys/cpu"
)

// leastFree is how many bytes the folder for temporary files should have: small parts of uploads
// wait there when memory is short.
const leastFree = 1 << 30

// TempFolder looks whether there is room for temporary files.
func TempFolder() Check {
	dir := os.TempDir()
	return Check{Name: "temp-folder", At: dir, Look: func(context.Context) Finding {
		f, err := os.CreateTemp(dir, "s3proxy-doctor-*.tmp")
		if err != nil {
			return failed("give the process a writable folder, and name it by TMPDIR", "no file can be made there: %v", err)
		}
		defer os.Remove(f.Name())
		defer f.Close()
		free, err := freeBytes(f)
		if err != nil {
			return skipped("a file can be made, but nothing tells how much room there is: %v", err)
		}
		return room(free)
	}}
}

func room(free uint64) Finding {
	if free < leastFree {
		return warning("give it more room, or name a larger folder by TMPDIR: what has no room is answered with 503 SlowDown", "%d MiB are free: uploads of many small parts at once need up to 1 GiB", free>>20)
	}
	return well("writable, %d MiB are free", free>>20)
}

// OpenFiles looks whether the process may open as many files as it may have connections.
func OpenFiles(maxConnections int) Check {
	return Check{Name: "open-files", Look: func(context.Context) Finding {
		may, err := mayOpen()
		if err != nil {
			return skipped("nothing tells the limit: %v", err)
		}
		return files(may, uint64(2*maxConnections))
	}}
}

// files judges how many files may be open: each client's connection may need one to the store.
func files(may, needs uint64) Finding {
	if may < needs {
		return warning("raise the limit (systemd: LimitNOFILE, docker: --ulimit nofile), or lower max-connections", "the process may open %d files, and max-connections needs %d", may, needs)
	}
	return well("the process may open %d files, and max-connections needs %d", may, needs)
}

// CPU looks whether AES-GCM is done by instructions of the processor.
func CPU() Check {
	return Check{Name: "cpu", Look: func(context.Context) Finding {
		switch runtime.GOARCH {
		case "amd64":
			return aes(cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ, "AES-NI and PCLMULQDQ")
		case "arm64":
			return aes(cpu.ARM64.HasAES && cpu.ARM64.HasPMULL, "AES and PMULL")
		}
		return skipped("of %s nothing is known", runtime.GOARCH)
	}}
}

func aes(has bool, what string) Finding {
	if !has {
		return warning("use a machine whose processor has them, or a virtual one that shows them (QEMU: -cpu host)", "the processor has not %s: encryption is about 20 times slower", what)
	}
	return well("%s", what)
}
