//go:build !noembedded

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
)

// embeddedStoreName is the hidden command that the store's process runs.
const embeddedStoreName = "embedded-store"

const embeddedRegion = "us-east-1"

// storeEnd is how long the store's process may take to end.
const storeEnd = 5 * time.Second

// storeOrder is what the proxy sends to the store's process on its standard input.
type storeOrder struct {
	Root     string // folder of the objects
	Metadata string // folder of their metadata, as storeMetadata gives it
	Socket   string // path of the Unix socket to listen on
	Secret   string // of embeddedUser
}

// storeRoot is the folder of the embedded store's objects, storeMetadata that of their
// metadata if the file system has no extended attributes. Keys are in neither.
func storeRoot(dataDir string) string { return filepath.Join(dataDir, "store") }

func storeMetadata(dataDir string) string { return filepath.Join(dataDir, "metadata") }

// addEmbeddedStore adds the command.
func addEmbeddedStore(root *cobra.Command) {
	root.AddCommand(&cobra.Command{
		Use:    embeddedStoreName,
		Short:  "Run the embedded store; s3proxy starts it by itself",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveStore(cmd.InOrStdin(), confine)
		},
	})
}

// serveStore runs the store's process: versitygw's posix backend, which can run only once in
// a process and changes its working directory. It ends when in does. It calls confine with
// the folders that it needs before it takes a request.
func serveStore(in io.Reader, confine func(folders storeFolders) error) error {
	// A terminal or service manager signals all processes at once, but the proxy needs this
	// one until it has finished its requests.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	var order storeOrder
	if err := json.NewDecoder(in).Decode(&order); err != nil || order.Secret == "" {
		return config.Usagef("do not run %s yourself: s3proxy starts it", embeddedStoreName)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
		time.Sleep(storeEnd)
		os.Exit(exitFailed) // a request that hangs must not outlive the proxy
	}()
	opts := posix.PosixOpts{CopyObjectThreshold: 5 << 30} // S3's limit; without it nothing can be copied
	metadata, err := metadataStore(order, &opts)
	if err != nil {
		return fmt.Errorf("open the embedded store's metadata: %w", err)
	}
	if err := confine(storeFolders{data: []string{order.Root, opts.SideCarDir}, socket: filepath.Dir(order.Socket)}); err != nil {
		return fmt.Errorf("confine the embedded store to its folder: %w", err)
	}
	backend, err := posix.New(order.Root, metadata, opts)
	if err != nil {
		return fmt.Errorf("open the embedded store in %s: %w", order.Root, err)
	}
	return embedgw.RunVersityGW(ctx, backend, &embedgw.Config{
		RootUserAccess: embeddedUser, RootUserSecret: order.Secret,
		Region: embeddedRegion, Ports: []string{order.Socket}, SocketPerm: "0600",
		MaxConnections: 250_000, MaxRequests: 100_000, MultipartMaxParts: 10_000,
		KeepAlive: true, Quiet: true,
		// The only account; the default service would print its name on standard output.
		IAMService: auth.NewIAMServiceSingle(auth.Account{Access: embeddedUser, Secret: order.Secret, Role: auth.RoleAdmin}),
	})
}

// metadataStore keeps S3 metadata in extended attributes or, on a file system without them,
// in a folder beside the store. If that folder exists, the metadata is there.
func metadataStore(order storeOrder, opts *posix.PosixOpts) (meta.MetadataStorer, error) {
	have, err := exists(order.Metadata)
	if err != nil {
		return nil, err
	}
	if !have {
		if (meta.XattrMeta{}).Test(order.Root) == nil {
			return meta.XattrMeta{}, nil
		}
		if err := ensureDir(order.Metadata); err != nil {
			return nil, err
		}
	}
	opts.SideCarDir = order.Metadata
	return meta.NewSideCar(order.Metadata)
}
