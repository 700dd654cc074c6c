// Command gateway is versitygw with its posix backend, built from the library that the product
// uses anyway, so that `make test` compiles nothing else. It has those of versitygw's own flags
// that test/lab passes; `make test-all` runs the real command.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	config := embedgw.Config{Region: "us-east-1", MaxConnections: 250_000, MaxRequests: 100_000, MultipartMaxParts: 10_000}
	var port string
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	flags.StringVar(&config.RootUserAccess, "access", "", "access key")
	flags.StringVar(&config.RootUserSecret, "secret", "", "secret key")
	flags.StringVar(&port, "port", "", "address to listen on")
	flags.StringVar(&config.VirtualDomain, "virtual-domain", "", "domain whose subdomains are buckets")
	flags.StringVar(&config.CertFile, "cert", "", "file with a certificate")
	flags.StringVar(&config.KeyFile, "key", "", "file with its key")
	flags.BoolVar(&config.KeepAlive, "keep-alive", false, "keep connections")
	flags.BoolVar(&config.Quiet, "quiet", false, "print no requests")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config.Ports = []string{port}

	options := posix.PosixOpts{Concurrency: 5000, CopyObjectThreshold: 5 << 30}
	ofPosix := flag.NewFlagSet("posix", flag.ContinueOnError)
	ofPosix.StringVar(&options.VersioningDir, "versioning-dir", "", "folder of older versions")
	ofPosix.StringVar(&options.SideCarDir, "sidecar", "", "folder of metadata, instead of extended attributes")
	if flags.Arg(0) != "posix" {
		return fmt.Errorf("unknown backend %q: only posix is known", flags.Arg(0))
	}
	if err := ofPosix.Parse(flags.Args()[1:]); err != nil {
		return err
	}
	folder := ofPosix.Arg(0)
	metadata, err := metadataIn(folder, options.SideCarDir)
	if err != nil {
		return err
	}
	backend, err := posix.New(folder, metadata, options)
	if err != nil {
		return fmt.Errorf("open %s: %w", folder, err)
	}
	return embedgw.RunVersityGW(context.Background(), backend, &config)
}

func metadataIn(folder, sidecar string) (meta.MetadataStorer, error) {
	if sidecar != "" {
		return meta.NewSideCar(sidecar)
	}
	if err := (meta.XattrMeta{}).Test(folder); err != nil {
		return nil, fmt.Errorf("extended attributes in %s: %w", folder, err)
	}
	return meta.XattrMeta{}, nil
}
