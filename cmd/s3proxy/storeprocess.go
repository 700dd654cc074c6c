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

// storeOrder is what the proxy tells the store's process, on its standard input.
type storeOrder struct {
	Root     string // folder of the objects
	Metadata string // as storeMetadata
	Socket   string // to listen on
	Secret   string // of embeddedUser
}

// storeRoot is the folder of the embedded store's objects, storeMetadata that of their
// metadata where the file system has no extended attributes. Keys are below neither.
func storeRoot(dataDir string) string { return filepath.Join(dataDir, "store") }

func storeMetadata(dataDir string) string { return filepath.Join(dataDir, "metadata") }

func embeddedStoreCommand() *cobra.Command {
	return &cobra.Command{
		Use:    embeddedStoreName,
		Short:  "Run the embedded store; s3proxy starts it by itself",
		Hidden: true,
		Args:   noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveStore(cmd.InOrStdin(), confine)
		},
	}
}

// serveStore is the life of the store's process: versitygw's posix backend, which can run
// once in a process and changes its working directory. It ends when in does. confine is
// called with the folders that it needs, before a request can come.
func serveStore(in io.Reader, confine func(folders storeFolders) error) error {
	// A terminal or service manager signals all processes at once. This one is needed
	// until the proxy has finished its requests.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	var order storeOrder
	if err := json.NewDecoder(in).Decode(&order); err != nil || order.Secret == "" {
		return config.Usagef("%s is started by s3proxy itself", embeddedStoreName)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
		time.Sleep(storeEnd)
		os.Exit(exitFailed) // what hangs must not outlive the proxy
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
		// The one account; named here, since the default announces itself on standard output.
		IAMService: auth.NewIAMServiceSingle(auth.Account{Access: embeddedUser, Secret: order.Secret, Role: auth.RoleAdmin}),
	})
}

// metadataStore keeps S3 metadata in extended attributes, or, on a file system
// that has none, in a folder beside the store. Once the folder is there it is
// what the objects' metadata is in.
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
